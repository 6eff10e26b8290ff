#include "vswitch/traffic/sequence_tracker.h"

#include <algorithm>

namespace patchbay::vswitch::traffic {

void SequenceTracker::reset(std::uint64_t limit) noexcept {
  next_ = unique_ = duplicates_ = reordered_ = too_late_ = invalid_ = 0;
  limit_ = limit;
  // Words are cleared as numbers enter them.
}

void SequenceTracker::record_out_of_order(std::uint64_t sequence) noexcept {
  if (sequence >= limit_) {
    ++invalid_;
    return;
  }
  if (sequence >= next_) {
    // Clears the words that the window moves into; the one with next_ - 1 is in use unless next_ begins one.
    const std::uint64_t first = (next_ + 63) / 64;
    const std::uint64_t last = sequence / 64;
    if (last >= first && last - first >= kWords - 1) {
      seen_->fill(0);
    } else {
      for (std::uint64_t i = first; i <= last; ++i)
        (*seen_)[i % kWords] = 0;
    }
    word(sequence) |= bit(sequence);
    next_ = sequence + 1;
    ++unique_;
    return;
  }
  if (next_ - sequence > kWindow) {
    ++too_late_;
  } else if ((word(sequence) & bit(sequence)) != 0) {
    ++duplicates_;
  } else {
    word(sequence) |= bit(sequence);
    ++unique_;
    ++reordered_;
  }
}

}  // namespace patchbay::vswitch::traffic
