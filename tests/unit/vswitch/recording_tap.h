// A tap that remembers what it was shown.
#pragma once

#include <vector>

#include "tests/unit/vswitch/memory_port.h"
#include "vswitch/tap_point.h"

namespace patchbay::vswitch::test {

class RecordingTap final : public TapPoint {
 public:
  struct Seen {
    Direction direction;
    std::uint64_t id;
    Bytes bytes;
    bool complete;  // its offload metadata leaves nothing to do
  };
  std::vector<Seen> seen;

  void frames(Direction direction, std::span<const FrameView* const> frames) noexcept override {
    for (const FrameView* frame : frames) {
      const bool complete = OffloadSet{}.covers(frame->offload);
      seen.push_back({direction, frame->id, bytes_of(*frame), complete});
    }
  }
};

}  // namespace patchbay::vswitch::test
