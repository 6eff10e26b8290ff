// Decides what happens to each frame that is sent into an impaired link, in the order of Linux's sch_netem:
// duplication, loss, corruption, queue limit, then reordering or delay and rate. Knows no frames, only their
// lengths; one thread at a time, no allocation.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "vswitch/impairment/impairment.h"
#include "vswitch/impairment/random.h"

namespace patchbay::vswitch {

class LinkModel {
 public:
  using Nanoseconds = std::chrono::nanoseconds;

  /// The same seed and settings make the same decisions.
  LinkModel(const Impairment& impairment, std::uint64_t seed) noexcept;
  /// The sequence of random numbers starts anew. Frames that were sent before keep their time of departure.
  void configure(const Impairment& impairment) noexcept;
  [[nodiscard]] const Impairment& impairment() const noexcept { return impairment_; }

  /// How often the next frame is to be sent: 0, it is lost; 1; 2, it is duplicated.
  [[nodiscard]] unsigned copies() noexcept;
  /// Whether a duplicate is lost on its own.
  [[nodiscard]] bool loses_duplicate() noexcept { return random_.chance(impairment_.loss); }
  /// When a frame that is sent `now` arrives; nothing if the queue has no room for it.
  [[nodiscard]] std::optional<Nanoseconds> arrival(Nanoseconds now, std::uint32_t bytes) noexcept;
  /// Which bit of a frame is wrong when it arrives, counted from the first byte's lowest; mostly none.
  [[nodiscard]] std::optional<std::uint32_t> corrupted_bit(std::uint32_t bytes) noexcept;

 private:
  [[nodiscard]] Nanoseconds draw_delay() noexcept;
  [[nodiscard]] Nanoseconds transmission_time(std::uint32_t bytes) noexcept;

  Impairment impairment_;
  std::uint64_t seed_;
  Random random_;
  Nanoseconds longest_wait_{0};  // in the queue before the wire
  Nanoseconds last_arrival_{0};  // of the frames sent so far
  std::uint64_t remainder_ = 0;  // of transmission times: bits * 1e9 below the rate, so that none are lost
};

}  // namespace patchbay::vswitch
