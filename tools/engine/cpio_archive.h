// An archive for a Linux initramfs (Linux Documentation/driver-api/early-userspace/buffer-format.rst): the
// "newc" format of cpio. The kernel unpacks any number of them one behind the other, each starting at a
// multiple of 4 bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace patchbay::tools {

class CpioArchive {
 public:
  /// `path` without a leading slash; folders before what is in them.
  void add_folder(const std::string& path) { add(path, 0040755, {}); }
  void add_program(const std::string& path, std::span<const std::byte> contents) {
    add(path, 0100755, contents);
  }
  /// Ends the archive and gives it away.
  [[nodiscard]] std::vector<std::byte> finish();

 private:
  void add(const std::string& path, std::uint32_t mode, std::span<const std::byte> contents);
  void append(const std::string& text);
  void pad();

  std::vector<std::byte> bytes_;
  std::uint32_t entries_ = 0;
};

}  // namespace patchbay::tools
