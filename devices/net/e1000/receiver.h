// The receive side of the card: writes frames into the guest's descriptor ring (manual 3.2, 13.4.22 ff.).
//
// Not thread-safe: the card's lock covers every call.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "devices/guest_memory.h"
#include "devices/net/e1000/receive_filter.h"
#include "devices/net/e1000/registers.h"
#include "vswitch/counters.h"
#include "vswitch/frame.h"

namespace patchbay::devices::net::e1000 {

class Statistics;

class Receiver {
 public:
  void reset() noexcept { *this = Receiver{}; }

  // Registers. A guest may write them at any time, in any order.
  std::uint32_t base_low = 0, base_high = 0, length = 0, head = 0, tail = 0, control = 0,
                checksum_control = 0;

  struct Environment {
    const GuestMemory& memory;
    const ReceiveFilter& filter;
    bool vlan_stripping;      // CTRL.VME
    std::uint32_t vlan_type;  // VET
    vswitch::PortCounters& counters;
    Statistics& statistics;
  };
  struct Result {
    std::size_t handled = 0;   // frames from the front that were delivered or dropped
    std::uint32_t causes = 0;  // for ICR
    bool received = false;     // RXT0, which the delay timers may hold back
  };

  /// True if the guest has given the card buffers to receive into.
  [[nodiscard]] bool ready() const noexcept;
  /// Delivers frames in order until one finds too few descriptors.
  [[nodiscard]] Result push(std::span<const vswitch::FrameView* const> frames,
                            const Environment& environment) noexcept;

 private:
  /// What of a frame goes into the guest's memory, besides its bytes.
  struct Arrival {
    std::uint32_t length = 0;    // bytes to write, padding included, FCS not
    std::uint8_t status = 0;     // VP, TCPCS, IPCS, IXSM
    std::uint16_t vlan_tag = 0;  // stripped tag
    bool stripped = false;
  };

  bool dry_ = false;  // the last push found too few descriptors

  [[nodiscard]] std::uint32_t ring_size() const noexcept { return (length & ~0x7Fu) / sizeof(RxDescriptor); }
  [[nodiscard]] std::uint32_t buffer_size() const noexcept;
  [[nodiscard]] std::uint32_t available() const noexcept;
  [[nodiscard]] bool nearly_empty() const noexcept;
  [[nodiscard]] std::optional<vswitch::DropReason> inspect(const vswitch::FrameView& frame,
                                                           const Environment& environment,
                                                           Arrival& arrival) const noexcept;
  [[nodiscard]] bool write(const vswitch::FrameView& frame, const Arrival& arrival, std::uint32_t descriptors,
                           std::byte* ring, const GuestMemory& memory) noexcept;
};

}  // namespace patchbay::devices::net::e1000
