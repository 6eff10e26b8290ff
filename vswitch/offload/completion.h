// Turns a list of frames into what one destination takes: frames that its offloads cover pass as they are,
// checksums of the others are completed, large ones are cut into segments. The result comes in batches of up
// to kBurstFrames, in order.
//
// Belongs to one delivery on one worker. The frames lie in the worker's pulled burst, where checksums are
// completed in place: a complete frame is right for every destination that follows.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "vswitch/frame.h"
#include "vswitch/offload/segmenter.h"
#include "vswitch/offload_set.h"

namespace patchbay::vswitch::offload {

class Completion {
 public:
  using Frames = std::span<const FrameView* const>;
  /// Which frame of the list, and which segment of it, a frame of a batch is.
  struct Origin {
    std::uint16_t frame = 0;
    std::uint16_t segment = 0;
  };

  /// `frames` are valid frames of `pulled`; `scratch` holds segments until the next batch. The first
  /// `segments_done` segments of the first frame are left out.
  Completion(Frames frames, const OffloadSet& accepted, Burst& pulled, Burst& scratch,
             std::uint32_t segments_done = 0) noexcept
      : frames_(frames), accepted_(accepted), pulled_(pulled), scratch_(scratch), skip_(segments_done) {}

  /// The next batch; empty at the end. Valid until the next call.
  [[nodiscard]] Frames next() noexcept;
  /// Precondition: i < size of the last batch.
  [[nodiscard]] Origin origin(std::size_t i) const noexcept { return origins_[i]; }
  /// Frames that batches still to come will hold.
  [[nodiscard]] std::uint64_t frames_to_come() const noexcept;

 private:
  Frames frames_;
  OffloadSet accepted_;
  Burst& pulled_;
  Burst& scratch_;
  std::uint32_t skip_;
  std::size_t at_ = 0;  // in frames_
  Segmenter segmenter_;
  bool segmenting_ = false;  // frames_[at_] is in the segmenter
  std::array<const FrameView*, kBurstFrames> batch_;
  std::array<Origin, kBurstFrames> origins_;
};

}  // namespace patchbay::vswitch::offload
