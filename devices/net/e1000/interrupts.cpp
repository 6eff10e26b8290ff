#include "devices/net/e1000/interrupts.h"

#include <algorithm>
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

void Interrupts::add_delayed(std::uint32_t causes, Nanoseconds now, Nanoseconds quiet,
                             Nanoseconds at_most) noexcept {
  if (causes == 0) return;
  if (quiet == 0) return add_cause(causes);
  if (delayed_ == 0) delayed_since_ = now;
  delayed_ |= causes;
  delayed_until_ = now + quiet;
  if (at_most != 0) delayed_until_ = std::min(delayed_until_, delayed_since_ + at_most);
}

void Interrupts::enable(std::uint32_t causes) noexcept {
  mask_ |= causes & cause::kAll;
}

bool Interrupts::level(Nanoseconds now) noexcept {
  if (delayed_ != 0 && now >= delayed_until_) causes_ |= std::exchange(delayed_, 0);
  if ((causes_ & mask_) == 0) {
    asserted_ = false;
  } else if (!asserted_ && now >= next_allowed_) {
    asserted_ = true;
    next_allowed_ = now + interval_ * kIntervalUnit;
    causes_ |= std::exchange(delayed_, 0);  // one interrupt for all that is there (3.2.7.1.1)
  }
  return asserted_;
}

std::optional<Interrupts::Nanoseconds> Interrupts::deadline() const noexcept {
  if (asserted_) return std::nullopt;
  if ((causes_ & mask_) != 0) return next_allowed_;
  if ((delayed_ & mask_) != 0) return std::max(delayed_until_, next_allowed_);
  return std::nullopt;
}

}  // namespace patchbay::devices::net::e1000
