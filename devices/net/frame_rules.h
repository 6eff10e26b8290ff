// What the data path of a virtio-net device has to know during a burst, and what it counts beside the port's
// frame counters.
#pragma once

#include <cstdint>

#include "devices/net/net_header.h"
#include "vswitch/counters.h"
#include "vswitch/offload_set.h"

namespace patchbay::devices::net {

/// Fixed while the device's lock or a part of it is held.
struct FrameRules {
  FeatureSet acknowledged = 0;
  vswitch::OffloadSet accepted;     // of the driver, for frames towards it
  std::uint32_t longest_frame = 0;  // bytes without FCS, for frames that need no segmentation
  bool link_up = true;
};

/// Frame bytes that crossed the border of guest memory at one queue pair, to prove that each is copied once:
/// `out_of_guest` are the header copies of pulled frames, `into_guest` is everything push() wrote, virtio-net
/// headers not counted.
struct CopyCounters {
  vswitch::Counter out_of_guest;  // by whoever has the transmit queue
  vswitch::Counter into_guest;    // by whoever has the receive queue
};

/// The same of a whole card.
struct CopiedBytes {
  std::uint64_t out_of_guest = 0;
  std::uint64_t into_guest = 0;

  CopiedBytes& operator+=(const CopyCounters& pair) noexcept {
    out_of_guest += pair.out_of_guest.value();
    into_guest += pair.into_guest.value();
    return *this;
  }
};

}  // namespace patchbay::devices::net
