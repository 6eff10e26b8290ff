// Whether frames should wait at the inputs because an output is full. On links with flow control that is what
// keeps bursts from being lost. An output that does not drain, say to a guest that is paused, must not stop
// the others: a hold ends after kLongest, and after one that was in vain there is none until half of the ring
// is free.
#pragma once

#include <cstddef>

#include "appliances/router/core/address.h"
#include "appliances/router/core/packet.h"

namespace patchbay::router::guest {

class TransmitHold {
 public:
  static constexpr Nanoseconds kLongest = 20 * kMillisecond;

  /// `free` of `size` descriptors of the output can be used.
  [[nodiscard]] bool wanted(std::size_t free, std::size_t size, Nanoseconds now) noexcept {
    if (free >= kBurstPackets) {
      holding_ = false;
      if (free >= size / 2) in_vain_ = false;
      return false;
    }
    if (in_vain_) return false;
    if (!holding_) since_ = now;
    holding_ = now - since_ < kLongest;
    in_vain_ = !holding_;
    return holding_;
  }

 private:
  bool holding_ = false;
  bool in_vain_ = false;
  Nanoseconds since_ = 0;
};

}  // namespace patchbay::router::guest
