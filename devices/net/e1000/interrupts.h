// Interrupt causes and their throttling (manual 13.4.17 to 13.4.20). ICR collects causes, IMS selects those
// that assert INTx, and ITR keeps a minimum distance between two assertions.
#pragma once

#include <cstdint>
#include <optional>

namespace patchbay::devices::net::e1000 {

class Interrupts {
 public:
  using Nanoseconds = std::uint64_t;

  void reset() noexcept { *this = Interrupts{}; }

  void add_cause(std::uint32_t causes) noexcept { causes_ |= causes; }
  /// Reading ICR returns the causes and clears them.
  [[nodiscard]] std::uint32_t read_causes() noexcept;
  void clear_causes(std::uint32_t causes) noexcept { causes_ &= ~causes; }
  [[nodiscard]] std::uint32_t mask() const noexcept { return mask_; }
  void enable(std::uint32_t causes) noexcept;
  void disable(std::uint32_t causes) noexcept { mask_ &= ~causes; }
  /// ITR in units of 256 ns; 0: no throttling.
  [[nodiscard]] std::uint32_t interval() const noexcept { return interval_; }
  void set_interval(std::uint32_t value) noexcept { interval_ = value & 0xFFFF; }

  /// The level INTx should have at time `now`. Never asserted without an enabled cause: a driver that finds
  /// ICR empty would call the interrupt spurious.
  [[nodiscard]] bool level(Nanoseconds now) noexcept;
  /// When a cause that throttling holds back is due; nothing if none waits.
  [[nodiscard]] std::optional<Nanoseconds> deadline() const noexcept;

 private:
  std::uint32_t causes_ = 0;
  std::uint32_t mask_ = 0;
  std::uint32_t interval_ = 0;
  bool asserted_ = false;
  Nanoseconds next_allowed_ = 0;
};

}  // namespace patchbay::devices::net::e1000
