// How long to poll in vain before sleeping. A sleep costs an exit and a wake-up, polling costs a processor
// that others may need: the limit doubles when a poll beyond the first found something, and halves when none
// did.
#pragma once

#include "appliances/router/core/address.h"

namespace patchbay::router::guest {

class IdlePolling {
 public:
  static constexpr Nanoseconds kMin = 4'000;
  static constexpr Nanoseconds kMax = 64'000;

  /// Called after a round without work; true if it is time to sleep.
  [[nodiscard]] bool exhausted(Nanoseconds now) noexcept {
    polled_ = true;
    return now - last_work_ >= limit_;
  }
  /// Called after a round with work.
  void worked(Nanoseconds now) noexcept {
    if (polled_ && limit_ < kMax) limit_ *= 2;
    polled_ = false;
    last_work_ = now;
  }
  /// Called after a sleep.
  void slept() noexcept {
    if (limit_ > kMin) limit_ /= 2;
    polled_ = false;
  }

 private:
  Nanoseconds limit_ = kMax;
  Nanoseconds last_work_ = 0;
  bool polled_ = false;
};

}  // namespace patchbay::router::guest
