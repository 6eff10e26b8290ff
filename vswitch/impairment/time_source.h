// Where the impairments' time comes from: the kernel's monotonic clock, or a test.
#pragma once

#include <chrono>

namespace patchbay::vswitch {

class TimeSource {
 public:
  TimeSource() = default;
  virtual ~TimeSource() = default;
  TimeSource(const TimeSource&) = delete;
  TimeSource& operator=(const TimeSource&) = delete;
  /// Never goes back. Timers of ports are set in this time, so outside of tests it is CLOCK_MONOTONIC.
  [[nodiscard]] virtual std::chrono::nanoseconds now() const noexcept = 0;
};

/// CLOCK_MONOTONIC.
[[nodiscard]] inline const TimeSource& monotonic_time() noexcept {
  class Monotonic final : public TimeSource {
   public:
    [[nodiscard]] std::chrono::nanoseconds now() const noexcept override {
      return std::chrono::steady_clock::now().time_since_epoch();
    }
  };
  static const Monotonic time;
  return time;
}

}  // namespace patchbay::vswitch
