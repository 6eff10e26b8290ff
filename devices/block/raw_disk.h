// A disk in a raw image file or block device of the host, written in place. The page cache is used as it is:
// a write is safe after a flush, as with any disk that has a cache.
#pragma once

#include <string>

#include "devices/block/disk.h"
#include "vswitch/file_descriptor.h"

namespace patchbay::devices::block {

class RawDisk final : public Disk {
 public:
  /// Throws what open_image() throws.
  RawDisk(const std::string& path, bool read_only);

  [[nodiscard]] std::uint64_t size() const noexcept override { return bytes_; }
  [[nodiscard]] bool read_only() const noexcept override { return read_only_; }
  [[nodiscard]] int read(std::uint64_t offset, std::span<iovec> pieces) noexcept override;
  [[nodiscard]] int write(std::uint64_t offset, std::span<iovec> pieces) noexcept override;
  [[nodiscard]] int flush() noexcept override;
  [[nodiscard]] int discard(std::uint64_t offset, std::uint64_t bytes) noexcept override;
  [[nodiscard]] int write_zeroes(std::uint64_t offset, std::uint64_t bytes, bool may_unmap) noexcept override;

 private:
  vswitch::FileDescriptor fd_;
  std::uint64_t bytes_ = 0;
  bool read_only_;
};

}  // namespace patchbay::devices::block
