#include "devices/vhost_user/peer_memory.h"

#include <algorithm>
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

std::shared_ptr<const PeerMemory> PeerMemory::make(std::vector<Region> regions) {
  auto memory = std::make_shared<PeerMemory>();
  std::vector<GuestMemory::Region> guest;
  guest.reserve(regions.size());
  for (const Region& region : regions)
    guest.push_back({region.where.guest_address, region.mapping->bytes()});
  memory->regions_ = std::move(regions);
  memory->guest_ = GuestMemory(std::move(guest));
  return memory;
}

std::shared_ptr<const PeerMemory> PeerMemory::with(const MemoryRegion& region, int fd) const {
  const auto same = std::find_if(regions_.begin(), regions_.end(), [&](const Region& other) {
    return other.where == region && other.mapping->is_of(fd);
  });
  if (same != regions_.end()) {
    std::vector<Region> regions = regions_;
    ++regions[static_cast<std::size_t>(same - regions_.begin())].times_added;
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
  try {
    regions.push_back({region, std::make_shared<SharedMapping>(fd, region.mmap_offset, region.size)});
  } catch (const std::runtime_error& error) {
    refuse(error.what());
  }
  return make(std::move(regions));
}

std::shared_ptr<const PeerMemory> PeerMemory::without(const MemoryRegion& region) const {
  std::vector<Region> regions = regions_;
  const auto found = std::find_if(regions.begin(), regions.end(), [&](const Region& r) {
    return r.where.guest_address == region.guest_address && r.where.user_address == region.user_address &&
           r.where.size == region.size;
  });
  if (found == regions.end()) throw std::runtime_error("a memory region to remove does not exist");
  if (--found->times_added == 0) regions.erase(found);
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
                     [](const Region& region) { return region.mapping->lost(); });
}

}  // namespace patchbay::devices::vhost_user
