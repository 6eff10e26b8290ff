// Decompression of kernel payloads with the usual libraries: gzip (zlib), XZ and LZMA (liblzma, with the BCJ x86
// filter that kernels use), LZ4 (legacy frames), Zstandard. The input comes from a user: output is bounded by what
// the caller allows, and what does not fit together is an ImageError.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "vmm/file_contents.h"

namespace patchbay::vmm {

/// No kernel is larger than this once it is unpacked.
inline constexpr std::size_t kMaxKernelBytes = std::size_t{512} << 20;

/// The name of the compression that `data` starts with ("gzip", "XZ", ...), or nullptr if it is none that is known.
[[nodiscard]] const char* compression_of(std::span<const std::byte> data) noexcept;

/// Unpacks `payload`, a compressed file as the kernel's build appends it to its boot sector: the last four bytes hold
/// the size of the result (little-endian; in gzip they are part of the format). `name` is for error texts. Throws
/// ImageError.
[[nodiscard]] FileContents decompress_payload(std::span<const std::byte> payload, const std::string& name);

}  // namespace patchbay::vmm
