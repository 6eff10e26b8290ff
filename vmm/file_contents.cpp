#include "vmm/file_contents.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "devices/bus.h"

namespace patchbay::vmm {

FileContents::FileContents(std::vector<std::byte> bytes) : size_(bytes.size()) {
  auto shared = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  bytes_ = std::shared_ptr<const std::byte[]>(shared, shared->data());
}

FileContents FileContents::read(const std::string& path, const std::string& what) {
  const devices::FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw ImageError("cannot open " + what + " " + path + ": " + std::strerror(errno));
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0)
    throw ImageError("cannot read " + what + " " + path + ": " + std::strerror(errno));
  if (!S_ISREG(status.st_mode)) throw ImageError("cannot read " + what + " " + path + ": it is not a file");
  return filled(static_cast<std::size_t>(status.st_size), [&](std::span<std::byte> buffer) {
    while (!buffer.empty()) {
      const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw ImageError("cannot read " + what + " " + path + ": " + std::strerror(errno));
      if (count == 0) throw ImageError("cannot read " + what + " " + path + " to its end");
      buffer = buffer.subspan(static_cast<std::size_t>(count));
    }
  });
}

std::optional<FileContents> FileContents::map(int fd, std::size_t size) {
  void* start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (start == MAP_FAILED) return std::nullopt;
  return FileContents(std::shared_ptr<const std::byte[]>(static_cast<const std::byte*>(start),
                                                         [size](const std::byte* mapped) {
                                                           ::munmap(const_cast<std::byte*>(mapped), size);
                                                         }),
                      size);
}

}  // namespace patchbay::vmm
