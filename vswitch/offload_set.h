// Which work on a frame a destination takes over from its sender (Virtio 1.2, 5.1.3: the GUEST_* features).
#pragma once

#include "vswitch/frame.h"

namespace patchbay::vswitch {

struct OffloadSet {
  bool checksum = false;  // frames with Offload::kNeedsChecksum
  bool tso4 = false;      // Offload::kGsoTcp4 frames longer than the MTU
  bool tso6 = false;      // Offload::kGsoTcp6 frames longer than the MTU
  bool ecn = false;       // ... with Offload::kGsoEcn
  bool uso = false;       // Offload::kGsoUdpL4 trains of datagrams, over IPv4 and IPv6

  /// True if a frame with this metadata can be handed over as it is. kDataValid asks for nothing.
  [[nodiscard]] constexpr bool covers(const Offload& offload) const noexcept {
    if ((offload.flags & Offload::kNeedsChecksum) != 0 && !checksum) return false;
    if ((offload.gso_type & Offload::kGsoEcn) != 0 && !ecn) return false;
    switch (offload.gso_type & ~Offload::kGsoEcn) {
      case Offload::kGsoNone:
        return true;
      case Offload::kGsoTcp4:
        return tso4;
      case Offload::kGsoTcp6:
        return tso6;
      case Offload::kGsoUdpL4:
        return uso;
      default:
        return false;
    }
  }

  friend constexpr bool operator==(const OffloadSet&, const OffloadSet&) = default;
};

}  // namespace patchbay::vswitch
