#include "devices/vhost_user/shared_mapping.h"

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace patchbay::devices::vhost_user {

SharedMapping::SharedMapping(int fd, std::uint64_t offset, std::uint64_t size) {
  struct stat file {};
  struct statfs system {};
  if (::fstat(fd, &file) != 0 || ::fstatfs(fd, &system) != 0) {
    throw std::runtime_error(std::strerror(errno));
  }
  if (!S_ISREG(file.st_mode) || (system.f_type != TMPFS_MAGIC && system.f_type != HUGETLBFS_MAGIC)) {
    throw std::runtime_error("its file is neither a memfd nor on tmpfs or hugetlbfs");
  }
  const auto length = static_cast<std::uint64_t>(file.st_size);
  if (offset > length || size > length - offset) throw std::runtime_error("its file ends before it does");
  // Mappings of a file of huge pages start and end with a page.
  const std::uint64_t page = system.f_type == HUGETLBFS_MAGIC
                                 ? std::max<std::uint64_t>(static_cast<std::uint64_t>(system.f_bsize), 4096)
                                 : 4096;
  const std::uint64_t start = offset / page * page;
  const std::uint64_t lead = offset - start;
  const std::uint64_t mapped = (lead + size + page - 1) / page * page;
  void* const address = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
                               static_cast<off_t>(start));
  if (address == MAP_FAILED) throw std::runtime_error(std::strerror(errno));
  memory_ = MemoryMapping(address, mapped);
  // Not a fork's business, and not a core dump's.
  ::madvise(address, mapped, MADV_DONTFORK);
  ::madvise(address, mapped, MADV_DONTDUMP);
  guard_.emplace(memory_.bytes());
  bytes_ = memory_.bytes().subspan(lead, size);
  device_ = file.st_dev;
  inode_ = file.st_ino;
}

bool SharedMapping::is_of(int fd) const noexcept {
  struct stat file {};
  return ::fstat(fd, &file) == 0 && file.st_dev == device_ && file.st_ino == inode_;
}

}  // namespace patchbay::devices::vhost_user
