// Plain copies of a segment's state at one instant, for listings, metrics and tests. Taken while the
// workers stand between two bursts, so that the equations of vswitch/counters.h hold in every snapshot, under
// traffic too.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "vswitch/counters.h"

namespace patchbay::vswitch {

using DropValues = std::array<std::uint64_t, kDropReasons>;  // by DropReason

struct PortSnapshot {
  std::string name;
  bool link_up = true;  // as set by the operator
  bool tapped = false;
  struct In {
    std::uint64_t frames = 0, bytes = 0, forwarded = 0, copies = 0;
    DropValues dropped{};
  } in;
  struct Out {
    std::uint64_t offered = 0, delivered = 0, bytes = 0;
    DropValues dropped{};
  } out;
};

struct SegmentSnapshot {
  std::string name;
  std::string kind;  // "wire" or "bridge"
  std::vector<PortSnapshot> ports;
  // Of all ports since they joined this segment, those that have left it included.
  std::uint64_t copies = 0;
  std::uint64_t offered = 0;
};

/// Of DropCounters or SharedDropCounters.
template <typename Counters>
[[nodiscard]] DropValues values(const Counters& counters) noexcept {
  DropValues result{};
  for (std::size_t i = 0; i < kDropReasons; ++i)
    result[i] = counters[i].value();
  return result;
}

}  // namespace patchbay::vswitch
