// What the data path of a virtio-net device has to know during a burst, and what it counts beside the port's
// frame counters.
#pragma once

#include <cstdint>

#include "devices/net/net_header.h"
#include "vswitch/counters.h"
#include "vswitch/offload_set.h"

namespace patchbay::devices::net {

/// Fixed while the device's mutex is held.
struct FrameRules {
  FeatureSet acknowledged = 0;
  vswitch::OffloadSet accepted;     // of the driver, for frames towards it
  std::uint32_t longest_frame = 0;  // bytes without FCS, for frames that need no segmentation
  bool link_up = true;
};

/// Frame bytes that crossed the border of guest memory, to prove that each is copied once: `out_of_guest` are
/// the header copies of pulled frames, `into_guest` is everything push() wrote, virtio-net headers not
/// counted.
struct CopyCounters {
  vswitch::Counter out_of_guest;
  vswitch::Counter into_guest;
};

}  // namespace patchbay::devices::net
