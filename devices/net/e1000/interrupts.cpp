#include "devices/net/e1000/interrupts.h"

#include <utility>

#include "devices/net/e1000/registers.h"

namespace patchbay::devices::net::e1000 {

namespace {
constexpr Interrupts::Nanoseconds kIntervalUnit = 256;
constexpr std::uint32_t kAsserted = 1u << 31;  // ICR.INT_ASSERTED of later parts reads 0 here
}  // namespace

std::uint32_t Interrupts::read_causes() noexcept {
  return std::exchange(causes_, 0) & ~kAsserted;
}

void Interrupts::enable(std::uint32_t causes) noexcept {
  mask_ |= causes & cause::kAll;
}

bool Interrupts::level(Nanoseconds now) noexcept {
  if ((causes_ & mask_) == 0) {
    asserted_ = false;
  } else if (!asserted_ && now >= next_allowed_) {
    asserted_ = true;
    next_allowed_ = now + interval_ * kIntervalUnit;
  }
  return asserted_;
}

std::optional<Interrupts::Nanoseconds> Interrupts::deadline() const noexcept {
  if (asserted_ || (causes_ & mask_) == 0) return std::nullopt;
  return next_allowed_;
}

}  // namespace patchbay::devices::net::e1000
