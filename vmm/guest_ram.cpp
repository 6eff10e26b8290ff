#include "vmm/guest_ram.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <system_error>

#include "vmm/memory_map.h"

namespace patchbay::vmm {
namespace {

constexpr std::uint64_t kHugePageBytes = 2 * kMiB;
/// Guests from this size on get transparent hugepages: smaller ones would use up whole ones for a few bytes each.
constexpr std::uint64_t kTransparentFrom = 64 * kMiB;

/// Maps `fd` (or anonymous memory, if it is negative) at an address aligned to 2 MiB, so that large pages can be used on
/// both sides.
devices::MemoryMapping map_aligned(int fd, std::size_t bytes) {
  const std::size_t reserved = bytes + kHugePageBytes;
  void* space = ::mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (space == MAP_FAILED) return {};
  auto* const start = static_cast<std::byte*>(space);
  const auto misfit = reinterpret_cast<std::uintptr_t>(start) % kHugePageBytes;
  std::byte* const aligned = start + (misfit == 0 ? 0 : kHugePageBytes - misfit);
  const int kind = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
  void* mapped = ::mmap(aligned, bytes, PROT_READ | PROT_WRITE, kind | MAP_FIXED, fd, 0);
  if (mapped == MAP_FAILED) {
    const int error = errno;
    ::munmap(space, reserved);
    errno = error;
    return {};
  }
  if (aligned != start) ::munmap(start, static_cast<std::size_t>(aligned - start));
  std::byte* const end = aligned + bytes;
  if (end != start + reserved) ::munmap(end, static_cast<std::size_t>(start + reserved - end));
  return {mapped, bytes};
}

}  // namespace

GuestRam::GuestRam(std::uint64_t bytes, HugePages huge_pages) : bytes_(bytes) {
  if (bytes == 0 || bytes % kHugePageBytes != 0) {
    throw std::runtime_error("guest memory of " + std::to_string(bytes) +
                             " bytes: give a multiple of 2 MiB, at least 2 MiB");
  }
  const bool wanted = huge_pages == HugePages::if_available;
  const bool created = (wanted && create(bytes, true)) ||
                       (wanted && bytes >= kTransparentFrom && create_anonymous(bytes)) || create(bytes, false);
  if (!created) {
    throw std::system_error(
        errno, std::generic_category(),
        "cannot create " + std::to_string(bytes / kMiB) +
            " MiB of guest memory; give the node less memory, or raise the limit of open files "
            "(ulimit -n)");
  }
  const std::uint64_t low = std::min(bytes, kHoleStart);
  std::vector<devices::GuestMemory::Region> regions{{0, mapping_.bytes().first(low)}};
  if (bytes > low) regions.push_back({kHoleEnd, mapping_.bytes().subspan(low)});
  view_ = devices::GuestMemory(std::move(regions));
}

bool GuestRam::create(std::uint64_t bytes, bool huge) {
  const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | (huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0U);
  devices::FileDescriptor fd(::memfd_create("guest-ram", flags));
  if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return false;
  // A file that cannot shrink cannot turn accesses into SIGBUS.
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) return false;
  devices::MemoryMapping mapping =
      map_aligned(fd.get(), bytes);  // reserves hugepages, so a lack of them shows here
  if (mapping.data() == nullptr) return false;
  if (!huge)
    ::madvise(mapping.data(), bytes, MADV_HUGEPAGE);  // a hint; hosts may refuse it for shared memory
  fd_ = std::move(fd);
  mapping_ = std::move(mapping);
  huge_ = huge;
  return true;
}

bool GuestRam::create_anonymous(std::uint64_t bytes) {
  devices::MemoryMapping mapping = map_aligned(-1, bytes);
  if (mapping.data() == nullptr) return false;
  ::madvise(mapping.data(), bytes, MADV_HUGEPAGE);  // a hint
  ::madvise(mapping.data(), bytes, MADV_DONTFORK);  // else every write of the guest would copy a page for the child
  mapping_ = std::move(mapping);
  return true;
}

void GuestRam::prefault(std::uint64_t bytes) noexcept {
  const std::size_t length = std::min(bytes, bytes_);
  if (length == 0 || ::madvise(mapping_.data(), length, MADV_POPULATE_WRITE) == 0) return;
  for (std::size_t offset = 0; offset < length; offset += kPageBytes) {  // kernels before 5.14
    auto* byte = reinterpret_cast<volatile unsigned char*>(mapping_.data() + offset);
    *byte = *byte;
  }
}

void GuestRam::discard() noexcept {
  if (!fd_) {
    ::madvise(mapping_.data(), bytes_, MADV_DONTNEED);
    return;
  }
  if (::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes_)) !=
      0) {
    std::memset(mapping_.data(), 0, bytes_);
  }
}

}  // namespace patchbay::vmm
