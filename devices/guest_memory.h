// A guest's physical address space as device models see it: a few regions of host memory. Every
// guest-supplied address goes through translate(); there is no other way to guest memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace patchbay::devices {

class GuestMemory {
 public:
  struct Region {
    std::uint64_t guest_address;  // bytes, page-aligned
    std::span<std::byte> host;    // mapped for as long as any device uses this object

    /// True if [address, address + length) is not empty and lies within.
    [[nodiscard]] bool covers(std::uint64_t address, std::uint64_t length) const noexcept {
      const std::uint64_t offset = address - guest_address;  // wraps to a huge value below the region
      return offset < host.size() && length <= host.size() - offset && length != 0;
    }
    /// Precondition: covers it.
    [[nodiscard]] std::byte* at(std::uint64_t address) const noexcept {
      return host.data() + (address - guest_address);
    }
  };

  GuestMemory() = default;
  /// Regions must not overlap. The mappings belong to the caller and must outlive this object.
  explicit GuestMemory(std::vector<Region> regions) : regions_(std::move(regions)) {
    std::sort(regions_.begin(), regions_.end(),
              [](const Region& a, const Region& b) { return a.guest_address < b.guest_address; });
  }

  /// Host memory behind [address, address + length), or nullptr unless the range is not empty and lies within
  /// one region. Safe for any input, from any thread. The guest may write to it at any time.
  [[nodiscard]] std::byte* translate(std::uint64_t address, std::uint64_t length) const noexcept {
    const Region* const region = find(address, length);
    return region != nullptr ? region->at(address) : nullptr;
  }
  /// The region that covers the range, or nullptr.
  [[nodiscard]] const Region* find(std::uint64_t address, std::uint64_t length) const noexcept {
    for (const Region& region : regions_) {
      if (region.covers(address, length)) return &region;
    }
    return nullptr;
  }

  [[nodiscard]] std::span<const Region> regions() const noexcept { return regions_; }

 private:
  std::vector<Region> regions_;
};

}  // namespace patchbay::devices
