#include "devices/block/raw_disk.h"

#include <unistd.h>

#include <cerrno>

namespace patchbay::devices::block {

RawDisk::RawDisk(const std::string& path, bool read_only) : read_only_(read_only) {
  const OpenedImage image = open_image(path, !read_only);
  fd_.reset(image.fd);
  bytes_ = image.bytes;
}

int RawDisk::read(std::uint64_t offset, std::span<iovec> pieces) noexcept {
  return read_fully(fd_.get(), offset, pieces);
}

int RawDisk::write(std::uint64_t offset, std::span<iovec> pieces) noexcept {
  return write_fully(fd_.get(), offset, pieces);
}

int RawDisk::flush() noexcept {
  return ::fdatasync(fd_.get()) == 0 ? 0 : errno;
}

int RawDisk::discard(std::uint64_t offset, std::uint64_t bytes) noexcept {
  const int error = punch_hole(fd_.get(), offset, bytes);
  return error == EOPNOTSUPP ? 0 : error;  // only a hint
}

int RawDisk::write_zeroes(std::uint64_t offset, std::uint64_t bytes, bool may_unmap) noexcept {
  if (may_unmap && punch_hole(fd_.get(), offset, bytes) == 0) return 0;
  return zero_range(fd_.get(), offset, bytes);
}

}  // namespace patchbay::devices::block
