// Time from the processor's time-stamp counter, whose rate the VMM states.
#pragma once

#include <algorithm>
#include <cstdint>

#include "appliances/router/core/address.h"
#include "appliances/router/guest/cpu.h"

namespace patchbay::router::guest {

class Clock {
 public:
  /// `start`: the counter at the guest's start, which is time 0; `khz`: its rate, not 0.
  Clock(std::uint64_t start, std::uint64_t khz) noexcept
      : start_(start), khz_(khz), scale_((std::uint64_t{kMillisecond} << 32) / khz) {}

  /// Time since the guest's start.
  [[nodiscard]] Nanoseconds now() const noexcept {
    return static_cast<Nanoseconds>((static_cast<Wide>(read_tsc() - start_) * scale_) >> 32);
  }

  /// The counter at `deadline`, or at the latest in an hour; 0 for kNever.
  [[nodiscard]] std::uint64_t tsc_at(Nanoseconds deadline) const noexcept {
    if (deadline == kNever) return 0;
    const std::uint64_t tsc = read_tsc();
    const Nanoseconds current = now();
    if (deadline <= current) return tsc;
    const Nanoseconds left = std::min(deadline - current, 3600 * kSecond);
    return tsc + left / kMillisecond * khz_ + left % kMillisecond * khz_ / kMillisecond;
  }

 private:
  __extension__ using Wide = unsigned __int128;

  std::uint64_t start_;
  std::uint64_t khz_;
  std::uint64_t scale_;  // nanoseconds per tick, 32 fractional bits
};

}  // namespace patchbay::router::guest
