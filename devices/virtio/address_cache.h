// Guest address translation that remembers the region of its last hit. Buffers of one guest nearly always lie
// in one region, so a ring pays a subtraction and two comparisons per buffer instead of a search.
#pragma once

#include <cstddef>
#include <cstdint>

#include "devices/guest_memory.h"

namespace patchbay::devices::virtio {

/// Not synchronised: one per ring, used under the ring's lock.
class AddressCache {
 public:
  /// `memory` must outlive the cache.
  void bind(const GuestMemory& memory) noexcept {
    memory_ = &memory;
    last_ = {};
  }

  /// Same contract as GuestMemory::translate(); precondition: bound.
  [[nodiscard]] std::byte* translate(std::uint64_t address, std::uint64_t length) noexcept {
    return last_.covers(address, length) ? last_.at(address) : search(address, length);
  }
  /// The region of the last hit: a loop that keeps a copy asks translate() only for what that does not cover.
  [[nodiscard]] const GuestMemory::Region& last() const noexcept { return last_; }

 private:
  [[nodiscard]] std::byte* search(std::uint64_t address, std::uint64_t length) noexcept {
    const GuestMemory::Region* const region = memory_->find(address, length);
    if (region == nullptr) return nullptr;
    last_ = *region;
    return last_.at(address);
  }

  const GuestMemory* memory_ = nullptr;
  GuestMemory::Region last_{};
};

}  // namespace patchbay::devices::virtio
