// Initial RAM disks for guests: a prepared archive, with a script of the test behind it (Linux unpacks
// archives that stand one behind the other).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace patchbay::tests {

/// The bytes of file `path`. Throws std::runtime_error.
[[nodiscard]] std::vector<std::byte> read_file(const std::string& path);

/// Appends a cpio archive (newc) that holds one executable file.
void append_file(std::vector<std::byte>& initrd, std::string_view name, std::string_view content);

}  // namespace patchbay::tests
