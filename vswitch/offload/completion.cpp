#include "vswitch/offload/completion.h"

#include <utility>

namespace patchbay::vswitch::offload {

Completion::Frames Completion::next() noexcept {
  scratch_.clear();
  std::size_t size = 0;
  while (at_ < frames_.size() && size < kBurstFrames) {
    const FrameView& frame = *frames_[at_];
    if (!segmenting_) {
      const bool large = frame.offload.gso_type != Offload::kGsoNone;
      if (!large || accepted_.covers(frame.offload)) {
        if (!accepted_.covers(frame.offload)) complete_checksum(pulled_.own(frame));
        origins_[size] = {static_cast<std::uint16_t>(at_), 0};
        batch_[size++] = &frame;
        ++at_;
        skip_ = 0;
        continue;
      }
      const auto plan = plan_segmentation(frame);
      segmenter_.start(frame, plan.value_or(SegmentationPlan{}), std::exchange(skip_, 0));
      segmenting_ = true;
    }
    while (!segmenter_.done() && size < kBurstFrames && scratch_.has_room()) {
      origins_[size] = {static_cast<std::uint16_t>(at_), static_cast<std::uint16_t>(segmenter_.index())};
      batch_[size++] = &scratch_.next();
      segmenter_.append_next(scratch_);
    }
    if (!segmenter_.done()) break;
    segmenting_ = false;
    ++at_;
  }
  return Frames(batch_).first(size);
}

std::uint64_t Completion::frames_to_come() const noexcept {
  std::uint64_t count = 0;
  for (std::size_t i = at_; i < frames_.size(); ++i) {
    const bool started = segmenting_ && i == at_;
    count += started                                 ? segmenter_.left()
             : accepted_.covers(frames_[i]->offload) ? 1
                                                     : wire_frames(*frames_[i]);
  }
  return count;
}

}  // namespace patchbay::vswitch::offload
