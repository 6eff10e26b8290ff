#include "devices/block/disk.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "vswitch/file_descriptor.h"

namespace patchbay::devices::block {
namespace {

/// Takes `bytes` off the front.
std::span<iovec> skip(std::span<iovec> pieces, std::size_t bytes) noexcept {
  while (!pieces.empty() && bytes >= pieces.front().iov_len) {
    bytes -= pieces.front().iov_len;
    pieces = pieces.subspan(1);
  }
  if (bytes != 0) {
    pieces.front().iov_base = static_cast<std::byte*>(pieces.front().iov_base) + bytes;
    pieces.front().iov_len -= bytes;
  }
  return pieces;
}

template <typename Transfer>
int transfer_fully(std::uint64_t offset, std::span<iovec> pieces, Transfer transfer) noexcept {
  pieces = skip(pieces, 0);  // empty ones at the front would look like the end
  while (!pieces.empty()) {
    const int count = static_cast<int>(std::min<std::size_t>(pieces.size(), IOV_MAX));
    const ssize_t done = transfer(pieces.data(), count, static_cast<off_t>(offset));
    if (done < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    if (done == 0) {
      for (const iovec& piece : pieces)
        std::memset(piece.iov_base, 0, piece.iov_len);
      return 0;
    }
    offset += static_cast<std::uint64_t>(done);
    pieces = skip(pieces, static_cast<std::size_t>(done));
  }
  return 0;
}

/// What else an image may be, by its first bytes.
const char* foreign_format(int fd) noexcept {
  std::array<char, 8> magic{};
  if (::pread(fd, magic.data(), magic.size(), 0) < 4) return nullptr;
  const std::string_view start(magic.data(), magic.size());
  if (start.starts_with("QFI\xfb")) return "qcow2";
  if (start.starts_with("KDMV")) return "vmdk";
  if (start.starts_with("vhdxfile")) return "vhdx";
  if (start.starts_with("conectix")) return "vpc";
  return nullptr;
}

}  // namespace

int read_fully(int fd, std::uint64_t offset, std::span<iovec> pieces) noexcept {
  return transfer_fully(offset, pieces,
                        [fd](const iovec* iov, int count, off_t at) { return ::preadv(fd, iov, count, at); });
}

int write_fully(int fd, std::uint64_t offset, std::span<iovec> pieces) noexcept {
  return transfer_fully(offset, pieces, [fd](const iovec* iov, int count, off_t at) -> ssize_t {
    const ssize_t done = ::pwritev(fd, iov, count, at);
    if (done == 0) errno = EIO;
    return done == 0 ? -1 : done;
  });
}

int punch_hole(int fd, std::uint64_t offset, std::uint64_t bytes) noexcept {
  const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  return ::fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(bytes)) == 0 ? 0 : errno;
}

int zero_range(int fd, std::uint64_t offset, std::uint64_t bytes) noexcept {
  const int mode = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
  if (::fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(bytes)) == 0) return 0;
  if (errno != EOPNOTSUPP) return errno;
  if (punch_hole(fd, offset, bytes) == 0) return 0;
  static std::array<std::byte, 64 * 1024> zeros{};
  while (bytes > 0) {
    iovec piece{zeros.data(), std::min<std::uint64_t>(bytes, zeros.size())};
    const std::size_t portion = piece.iov_len;
    if (const int error = write_fully(fd, offset, std::span(&piece, 1)); error != 0) return error;
    offset += portion;
    bytes -= portion;
  }
  return 0;
}

int nameless_file(const std::string& directory) {
  const int fd = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) return fd;
  std::string name = directory + "/patchbay-disk.XXXXXX";  // a file system without O_TMPFILE
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) ::unlink(name.c_str());
  return named;
}

OpenedImage open_image(const std::string& path, bool writable) {
  const auto fail = [&](const std::string& cause) {
    throw std::runtime_error("disk image " + path + ": " + cause);
  };
  vswitch::FileDescriptor fd(::open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC));
  if (!fd) {
    fail(std::string(std::strerror(errno)) +
         (errno == EROFS || errno == EACCES ? "; make it writable or add :ro to its bind" : ""));
  }
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) fail(std::strerror(errno));
  auto bytes = static_cast<std::uint64_t>(status.st_size);
  if (S_ISBLK(status.st_mode)) {
    if (::ioctl(fd.get(), BLKGETSIZE64, &bytes) != 0) fail(std::strerror(errno));
  } else if (!S_ISREG(status.st_mode)) {
    fail("it is neither a file nor a block device");
  }
  if (const char* format = foreign_format(fd.get())) {
    fail(std::string("it is in format ") + format + "; convert it: qemu-img convert -O raw " + path +
         " NEW.img");
  }
  if (bytes == 0) fail("it is empty; give it a size: truncate -s 1G " + path);
  if (bytes % kSectorBytes != 0)
    fail("its size is no multiple of 512 bytes; round it up: truncate -s %512 " + path);
  // Readers together or one writer alone; held as long as the descriptor is open.
  if (::flock(fd.get(), (writable ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
    fail(writable ? "it is in use by another virtual machine; add :ro to its binds, or give each its own copy"
                  : "another virtual machine writes to it; give this one its own copy");
  }
  return {fd.release(), bytes};
}

}  // namespace patchbay::devices::block
