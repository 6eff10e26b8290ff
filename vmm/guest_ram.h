// A guest's RAM, mapped once, seen by the guest below 3 GiB and above 4 GiB. Hugepages where the host has some reserved;
// else the memory of an operating system is anonymous, which the kernel backs with transparent hugepages (a guest starts
// and runs faster: each first touch of a page is an exit), and that of an appliance a memfd. Pages are touched lazily
// unless asked otherwise, so an idle guest costs what it has used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "devices/bus.h"
#include "devices/guest_memory.h"
#include "devices/memory_mapping.h"

namespace patchbay::vmm {

enum class HugePages { never, if_available };

class GuestRam {
 public:
  /// `bytes` is a multiple of 2 MiB, at least 2 MiB. Throws std::runtime_error or std::system_error.
  GuestRam(std::uint64_t bytes, HugePages huge_pages);

  [[nodiscard]] std::uint64_t size() const noexcept { return bytes_; }
  [[nodiscard]] bool uses_huge_pages() const noexcept { return huge_; }
  /// The regions as the guest sees them, for devices and for memory slots.
  [[nodiscard]] const devices::GuestMemory& view() const noexcept { return view_; }
  /// Descriptor behind the memory (guest address 0 at offset 0, 4 GiB at the size of the low region); -1 if anonymous.
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

  /// Touches the first `bytes` now: a first touch by the guest costs several times as much.
  void prefault(std::uint64_t bytes) noexcept;
  /// All zeros again, and the host's memory given back.
  void discard() noexcept;

 private:
  bool create(std::uint64_t bytes, bool huge);
  bool create_anonymous(std::uint64_t bytes);

  std::uint64_t bytes_;
  bool huge_ = false;
  devices::FileDescriptor fd_;
  devices::MemoryMapping mapping_;
  devices::GuestMemory view_;
};

}  // namespace patchbay::vmm
