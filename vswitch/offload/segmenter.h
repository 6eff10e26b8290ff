// Cuts one large frame into the frames that a wire carries (as a card with TCP segmentation offload does) and
// completes checksums. The payload stays where it is: a segment's view refers to the sender's memory, which
// is read once here for the checksum and once by the destination's copy. A sender that rewrites its buffers
// in between gets a segment with a wrong checksum delivered in its own name, and nothing else.
//
// No allocation, no throw; one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "vswitch/frame.h"
#include "vswitch/offload/segmentation_plan.h"

namespace patchbay::vswitch::offload {

/// Completes the checksum that `frame` asks for in its header copy; afterwards it asks for nothing.
/// Precondition: is_valid(frame), no segmentation.
void complete_checksum(FrameView& frame) noexcept;

class Segmenter {
 public:
  /// `frame` stays unchanged and in place until the last segment is done with. Starts at segment `first`.
  void start(const FrameView& frame, const SegmentationPlan& plan, std::uint32_t first) noexcept;

  [[nodiscard]] bool done() const noexcept { return next_ == plan_.segments; }
  /// Of the next segment.
  [[nodiscard]] std::uint32_t index() const noexcept { return next_; }
  [[nodiscard]] std::uint32_t left() const noexcept { return plan_.segments - next_; }
  /// Adds the next segment to `batch`. Preconditions: !done(), batch.has_room().
  void append_next(Burst& batch) noexcept;

 private:
  /// Skips or takes `bytes` of the payload that starts in the header copy and goes on in the tail.
  void skip(std::size_t bytes) noexcept;
  void take(FrameView& segment, std::span<Piece, kMaxPieces> pieces, std::size_t bytes,
            std::size_t& used) noexcept;
  void patch_headers(FrameView& segment, std::size_t payload, std::span<const Piece> tail) noexcept;

  const FrameView* frame_ = nullptr;
  SegmentationPlan plan_;
  std::uint32_t next_ = 0;
  std::size_t payload_left_ = 0;
  Piece rest_;             // of the payload piece the cursor is in
  std::size_t piece_ = 0;  // next of frame_->tail
};

}  // namespace patchbay::vswitch::offload
