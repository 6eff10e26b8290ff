// Linux kernels as distributions ship them: a bzImage (Linux Documentation/x86/boot.rst) holds a compressed ELF
// executable, which is unpacked here on the host, where that is several times quicker than the guest's own start-up
// code. An ELF executable (vmlinux, an appliance) is taken as it is.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "vmm/elf_image.h"
#include "vmm/file_contents.h"

namespace patchbay::vmm {

/// Reads the kernel in `path`: bzImage or ELF. Throws ImageError.
[[nodiscard]] ElfImage load_kernel(const std::string& path);

/// The same for a file in memory; `name` is for error texts.
[[nodiscard]] ElfImage parse_kernel(const FileContents& contents, const std::string& name = "kernel image");

/// True if `contents` starts like a bzImage: boot sector signature and header magic.
[[nodiscard]] bool is_bzimage(std::span<const std::byte> contents) noexcept;

}  // namespace patchbay::vmm
