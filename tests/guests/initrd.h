// Initial RAM disks for guests: a prepared archive, with a script of the test behind it (Linux unpacks
// archives that stand one behind the other).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace patchbay::tests {

/// The bytes of file `path`. Throws std::runtime_error.
[[nodiscard]] std::vector<std::byte> read_file(const std::string& path);

/// Appends the bytes of another archive.
void append_archive(std::vector<std::byte>& initrd, std::span<const std::byte> archive);

/// Appends a cpio archive (newc) that holds one executable file.
void append_file(std::vector<std::byte>& initrd, std::string_view name, std::string_view content);

}  // namespace patchbay::tests
