// The memory that a front end shares with us: its regions, mapped, with both ways to name an address in them.
// Immutable; a change of one region makes a new object that shares the mappings of the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "devices/bus.h"
#include "devices/guest_memory.h"
#include "devices/vhost_user/protocol.h"
#include "devices/vhost_user/shared_mapping.h"

namespace patchbay::devices::vhost_user {

class PeerMemory {
 public:
  PeerMemory() = default;

  /// This memory with one region more. The descriptor is needed during the call only. A region that is there
  /// already may be added again, and is then removed as often: QEMU adds all memory for each queue pair.
  /// Throws std::runtime_error with the reason if the region cannot be used.
  [[nodiscard]] std::shared_ptr<const PeerMemory> with(const MemoryRegion& region, int fd) const;
  /// This memory without the region at the same addresses; throws if there is none.
  [[nodiscard]] std::shared_ptr<const PeerMemory> without(const MemoryRegion& region) const;

  [[nodiscard]] std::size_t size() const noexcept { return regions_.size(); }
  [[nodiscard]] std::uint64_t bytes() const noexcept;
  /// By guest physical addresses, which descriptors use.
  [[nodiscard]] const GuestMemory& guest() const noexcept { return guest_; }
  /// The guest physical address of an address in the front end's address space, which ring addresses use.
  [[nodiscard]] std::optional<std::uint64_t> to_guest(std::uint64_t user_address) const noexcept;
  /// True if the peer took memory away. Any thread.
  [[nodiscard]] bool lost() const noexcept;

 private:
  struct Region {
    MemoryRegion where;
    std::shared_ptr<const SharedMapping> mapping;
    std::uint64_t times_added = 1;
  };

  [[nodiscard]] static std::shared_ptr<const PeerMemory> make(std::vector<Region> regions);

  std::vector<Region> regions_;
  GuestMemory guest_;
};

}  // namespace patchbay::devices::vhost_user
