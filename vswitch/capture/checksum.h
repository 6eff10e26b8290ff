// Completes the checksum that a sender left to the wire in the captured copy of a frame, so that a capture
// shows what a wire would carry. Segments complete tapped frames themselves (vswitch/tap_point.h); a tap that
// sees a frame before that, or none that does, is still recorded rightly.
#pragma once

#include <cstddef>
#include <span>

#include "vswitch/frame.h"

namespace patchbay::vswitch::capture {

/// Stores the checksum that `frame.offload` asks for into `copy`, the frame's first copy.size() bytes. Leaves
/// `copy` alone if no checksum is asked for, or its place lies beyond the copy or beyond the frame.
void complete_checksum(const FrameView& frame, std::span<std::byte> copy) noexcept;

}  // namespace patchbay::vswitch::capture
