// Where a capture looks at the traffic of one port. The segment offers every burst to the tap of the port it
// came from and to the tap of each port it was delivered to; vswitch/capture/ implements the interface.
#pragma once

#include <span>

#include "vswitch/frame.h"

namespace patchbay::vswitch {

/// As seen from the switch: from_port is what the attached guest or host sent, to_port what it received.
enum class Direction : unsigned char { from_port, to_port };

class TapPoint {
 public:
  virtual ~TapPoint() = default;

  /// `frames` passed the tapped port in this direction, in order. Called on the worker that the frames came
  /// in on, so on several at once, on the data path: no throw, no blocking, no allocation. The views are
  /// valid during the call only; bytes beyond the header copy lie in the sender's memory and may change while
  /// they are read.
  ///
  /// from_port: every frame that the segment took from the port, those it went on to drop included.
  /// to_port: frames that the port was given.
  /// While any port of a segment is tapped, the segment completes checksums and segments large frames first,
  /// so `offload` leaves nothing to do, and gives each frame an id: the same at all taps of the segment,
  /// unique in the process.
  virtual void frames(Direction direction, std::span<const FrameView* const> frames) noexcept = 0;
};

}  // namespace patchbay::vswitch
