// The contents of a file in memory, read once and shared by all machines that boot from it. Never changes, so
// any thread may read it.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace patchbay::vmm {

/// The file is nothing that a machine can be booted from; what() says why and what would do.
class ImageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class FileContents {
 public:
  FileContents() = default;
  FileContents(std::vector<std::byte> bytes);  // NOLINT(google-explicit-constructor): a file is its bytes

  /// Reads `path`; `what` names its part in error texts ("kernel image"). Throws ImageError.
  [[nodiscard]] static FileContents read(const std::string& path, const std::string& what);
  /// Maps the file that `fd` refers to, which must never shrink; none if that fails.
  [[nodiscard]] static std::optional<FileContents> map(int fd, std::size_t size);
  /// `size` bytes that `fill` writes before anybody sees them; an exception of `fill` passes through.
  template <typename Fill>
  [[nodiscard]] static FileContents filled(std::size_t size, Fill fill) {
    std::shared_ptr<std::byte[]> bytes(new std::byte[size]);  // not zeroed: that would cost as much as the copy
    fill(std::span(bytes.get(), size));
    return {std::move(bytes), size};
  }

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {bytes_.get(), size_}; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  FileContents(std::shared_ptr<const std::byte[]> bytes, std::size_t size)
      : bytes_(std::move(bytes)), size_(size) {}

  std::shared_ptr<const std::byte[]> bytes_;
  std::size_t size_ = 0;
};

}  // namespace patchbay::vmm
