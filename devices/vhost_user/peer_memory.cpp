#include "devices/vhost_user/peer_memory.h"

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

namespace patchbay::devices::vhost_user {
namespace {

[[noreturn]] void refuse(const std::string& why) {
  throw std::runtime_error("a memory region cannot be used: " + why);
}

bool overlap(std::uint64_t a, std::uint64_t b, std::uint64_t a_bytes, std::uint64_t b_bytes) {
  return a < b + b_bytes && b < a + a_bytes;
}

}  // namespace

std::shared_ptr<const PeerMemory::Mapping> PeerMemory::map(const MemoryRegion& region, int fd) {
  struct stat file {};
  struct statfs system {};
  if (::fstat(fd, &file) != 0 || ::fstatfs(fd, &system) != 0) refuse(std::strerror(errno));
  if (!S_ISREG(file.st_mode) || (system.f_type != TMPFS_MAGIC && system.f_type != HUGETLBFS_MAGIC)) {
    refuse("its file is neither a memfd nor on tmpfs or hugetlbfs");
  }
  const auto length = static_cast<std::uint64_t>(file.st_size);
  if (region.mmap_offset > length || region.size > length - region.mmap_offset) {
    refuse("its file ends before it does");
  }
  // Mappings of a file of huge pages start and end with a page.
  const std::uint64_t page = system.f_type == HUGETLBFS_MAGIC
                                 ? std::max<std::uint64_t>(static_cast<std::uint64_t>(system.f_bsize), 4096)
                                 : 4096;
  const std::uint64_t start = region.mmap_offset / page * page;
  const std::uint64_t lead = region.mmap_offset - start;
  const std::uint64_t bytes = (lead + region.size + page - 1) / page * page;
  void* const address = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
                               static_cast<off_t>(start));
  if (address == MAP_FAILED) refuse(std::strerror(errno));
  auto mapping = std::make_shared<Mapping>();
  mapping->memory = MemoryMapping(address, bytes);
  // Not a fork's business, and not a core dump's.
  ::madvise(address, bytes, MADV_DONTFORK);
  ::madvise(address, bytes, MADV_DONTDUMP);
  mapping->guard.emplace(mapping->memory.bytes());
  mapping->region = mapping->memory.bytes().subspan(lead, region.size);
  mapping->device = file.st_dev;
  mapping->inode = file.st_ino;
  return mapping;
}

bool PeerMemory::Region::is(const MemoryRegion& other, int fd) const noexcept {
  struct stat file {};
  return where.guest_address == other.guest_address && where.user_address == other.user_address &&
         where.size == other.size && where.mmap_offset == other.mmap_offset && ::fstat(fd, &file) == 0 &&
         mapping->device == file.st_dev && mapping->inode == file.st_ino;
}

std::shared_ptr<const PeerMemory> PeerMemory::make(std::vector<Region> regions) {
  auto memory = std::make_shared<PeerMemory>();
  std::vector<GuestMemory::Region> guest;
  guest.reserve(regions.size());
  for (const Region& region : regions)
    guest.push_back({region.where.guest_address, region.mapping->region});
  memory->regions_ = std::move(regions);
  memory->guest_ = GuestMemory(std::move(guest));
  return memory;
}

std::shared_ptr<const PeerMemory> PeerMemory::with(const MemoryRegion& region, int fd) const {
  for (std::size_t i = 0; i < regions_.size(); ++i) {
    if (!regions_[i].is(region, fd)) continue;
    std::vector<Region> regions = regions_;
    ++regions[i].times_added;
    return make(std::move(regions));
  }
  if (regions_.size() >= kMemorySlots) refuse("there are too many");
  if (region.size == 0) refuse("it is empty");
  if (region.guest_address + region.size < region.guest_address ||
      region.user_address + region.size < region.user_address ||
      region.mmap_offset + region.size < region.mmap_offset) {
    refuse("it wraps around the address space");
  }
  for (const Region& other : regions_) {
    if (overlap(region.guest_address, other.where.guest_address, region.size, other.where.size) ||
        overlap(region.user_address, other.where.user_address, region.size, other.where.size)) {
      refuse("it overlaps another one");
    }
  }
  std::vector<Region> regions = regions_;
  regions.push_back({region, map(region, fd), 1});
  return make(std::move(regions));
}

std::shared_ptr<const PeerMemory> PeerMemory::without(const MemoryRegion& region) const {
  std::vector<Region> regions = regions_;
  const auto removed = std::find_if(regions.begin(), regions.end(), [&](const Region& r) {
    return r.where.guest_address == region.guest_address && r.where.user_address == region.user_address &&
           r.where.size == region.size;
  });
  if (removed == regions.end()) throw std::runtime_error("a memory region to remove does not exist");
  if (--removed->times_added == 0) regions.erase(removed);
  return make(std::move(regions));
}

std::uint64_t PeerMemory::bytes() const noexcept {
  std::uint64_t sum = 0;
  for (const Region& region : regions_)
    sum += region.where.size;
  return sum;
}

std::optional<std::uint64_t> PeerMemory::to_guest(std::uint64_t user_address) const noexcept {
  for (const Region& region : regions_) {
    const std::uint64_t offset = user_address - region.where.user_address;
    if (offset < region.where.size) return region.where.guest_address + offset;
  }
  return std::nullopt;
}

bool PeerMemory::lost() const noexcept {
  return std::any_of(regions_.begin(), regions_.end(),
                     [](const Region& region) { return region.mapping->guard->lost(); });
}

}  // namespace patchbay::devices::vhost_user
