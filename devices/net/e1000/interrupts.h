// Interrupt causes, their delay and their throttling (manual 3.2.7, 3.4.3.1, 13.4.17 to 13.4.20). ICR
// collects causes, IMS selects those that assert INTx, the delay timers of receiver and transmitter gather
// causes before they reach ICR, and ITR keeps a minimum distance between two assertions.
#pragma once

#include <cstdint>
#include <optional>

namespace patchbay::devices::net::e1000 {

class Interrupts {
 public:
  using Nanoseconds = std::uint64_t;

  void reset() noexcept { *this = Interrupts{}; }

  void add_cause(std::uint32_t causes) noexcept { causes_ |= causes; }
  /// Causes that may wait for others: until nothing more came for `quiet`, and no longer than `at_most` in
  /// all (0: without that limit). `quiet` 0: no delay.
  void add_delayed(std::uint32_t causes, Nanoseconds now, Nanoseconds quiet, Nanoseconds at_most) noexcept;
  /// Reading ICR returns the causes and clears them.
  [[nodiscard]] std::uint32_t read_causes() noexcept;
  void clear_causes(std::uint32_t causes) noexcept { causes_ &= ~causes; }
  [[nodiscard]] std::uint32_t mask() const noexcept { return mask_; }
  void enable(std::uint32_t causes) noexcept;
  void disable(std::uint32_t causes) noexcept { mask_ &= ~causes; }
  /// ITR in units of 256 ns; 0: no throttling.
  [[nodiscard]] std::uint32_t interval() const noexcept { return interval_; }
  void set_interval(std::uint32_t value) noexcept { interval_ = value & 0xFFFF; }

  /// No cause anywhere: the level is low whatever the time.
  [[nodiscard]] bool idle() const noexcept { return (causes_ | delayed_) == 0; }
  /// The level INTx should have at time `now`. Never asserted without an enabled cause: a driver that finds
  /// ICR empty would call the interrupt spurious.
  [[nodiscard]] bool level(Nanoseconds now) noexcept;
  /// When a cause that is held back is due; nothing if none waits.
  [[nodiscard]] std::optional<Nanoseconds> deadline() const noexcept;

 private:
  std::uint32_t causes_ = 0;
  std::uint32_t delayed_ = 0;  // not in ICR yet
  Nanoseconds delayed_since_ = 0, delayed_until_ = 0;
  std::uint32_t mask_ = 0;
  std::uint32_t interval_ = 0;
  bool asserted_ = false;
  Nanoseconds next_allowed_ = 0;
};

}  // namespace patchbay::devices::net::e1000
