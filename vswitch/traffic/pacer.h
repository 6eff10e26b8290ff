// When the frames of a trial are due. The time is the caller's: nanoseconds of a monotonic clock.
//
// The worker that generates is the one that switches, on a machine that may run neither for a while. A gap
// between two looks at the clock that is longer than kPause is such a while: the schedule stands still for it
// (the trial ends later by as much), instead of asking for a burst that no paced sender would make. The
// pauses are reported.
#pragma once

#include <algorithm>
#include <cstdint>

namespace patchbay::vswitch::traffic {

class Pacer {
 public:
  static constexpr std::int64_t kPause = 500'000;  // a busy worker looks every 50 us

  /// `rate` in frames per second, 0 for as many as possible. `duration` in nanoseconds.
  void start(std::int64_t now, double rate, std::int64_t duration) noexcept {
    start_ = last_ = now;
    paused_ = 0;
    per_nanosecond_ = rate / 1e9;
    intended_ = static_cast<std::uint64_t>(rate * static_cast<double>(duration) / 1e9 + 0.5);
  }

  /// Frames due from the start until now; UINT64_MAX without a rate. `waited`: nobody looked because the
  /// frames found no room, which is no pause.
  [[nodiscard]] std::uint64_t due(std::int64_t now, bool waited) noexcept {
    if (now - last_ > kPause && !waited) paused_ += now - last_;
    last_ = now;
    if (per_nanosecond_ == 0) return UINT64_MAX;
    // The first one at once.
    const auto count = static_cast<std::uint64_t>(static_cast<double>(active(now)) * per_nanosecond_) + 1;
    return std::min(count, intended_);
  }

  /// Frames of the whole trial; 0 without a rate.
  [[nodiscard]] std::uint64_t intended() const noexcept { return intended_; }
  /// Nanoseconds since the start, without pauses.
  [[nodiscard]] std::int64_t active(std::int64_t now) const noexcept { return now - start_ - paused_; }
  [[nodiscard]] std::int64_t paused() const noexcept { return paused_; }

 private:
  std::int64_t start_ = 0, last_ = 0, paused_ = 0;
  double per_nanosecond_ = 0;
  std::uint64_t intended_ = 0;
};

}  // namespace patchbay::vswitch::traffic
