#include "vswitch/impairment/link_model.h"

#include <algorithm>
#include <limits>

namespace patchbay::vswitch {

namespace {

constexpr std::uint64_t kBitTimesPerByte = 8'000'000'000;  // nanoseconds of 8 bits at 1 bit/s

}  // namespace

LinkModel::LinkModel(const Impairment& impairment, std::uint64_t seed) noexcept : seed_(seed), random_(seed) {
  configure(impairment);
}

void LinkModel::configure(const Impairment& impairment) noexcept {
  impairment_ = impairment;
  random_ = Random(seed_);
  remainder_ = 0;
  if (!impairment.any()) last_arrival_ = Nanoseconds(0);
  if (impairment.rate_bits == 0) return;
  constexpr std::uint64_t kMost =
      static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / kBitTimesPerByte;
  longest_wait_ = Nanoseconds(static_cast<std::int64_t>(std::min(impairment.queue_bytes, kMost) *
                                                        kBitTimesPerByte / impairment.rate_bits));
}

unsigned LinkModel::copies() noexcept {
  const unsigned duplicates = random_.chance(impairment_.duplicate) ? 1 : 0;
  const unsigned losses = random_.chance(impairment_.loss) ? 1 : 0;
  return 1 + duplicates - losses;
}

LinkModel::Nanoseconds LinkModel::draw_delay() noexcept {
  if (impairment_.jitter.count() == 0) return impairment_.delay;
  const auto span = 2 * static_cast<std::uint64_t>(impairment_.jitter.count()) + 1;
  const auto offset = static_cast<std::int64_t>(random_.below(span));
  return std::max(Nanoseconds(0), impairment_.delay - impairment_.jitter + Nanoseconds(offset));
}

LinkModel::Nanoseconds LinkModel::transmission_time(std::uint32_t bytes) noexcept {
  const std::uint64_t work = bytes * kBitTimesPerByte + remainder_;
  remainder_ = work % impairment_.rate_bits;
  return Nanoseconds(static_cast<std::int64_t>(work / impairment_.rate_bits));
}

std::optional<LinkModel::Nanoseconds> LinkModel::arrival(Nanoseconds now, std::uint32_t bytes) noexcept {
  if (random_.chance(impairment_.reorder)) return now;
  Nanoseconds arrival = now + draw_delay();
  if (impairment_.rate_bits != 0) {
    // The wire is busy until the frame before this one has arrived, as seen from its far end.
    const Nanoseconds start = std::max(arrival, last_arrival_);
    if (start - arrival > longest_wait_) return std::nullopt;
    arrival = start + transmission_time(bytes);
  }
  last_arrival_ = std::max(last_arrival_, arrival);
  return arrival;
}

std::optional<std::uint32_t> LinkModel::corrupted_bit(std::uint32_t bytes) noexcept {
  if (!random_.chance(impairment_.corrupt)) return std::nullopt;
  return static_cast<std::uint32_t>(random_.below(std::uint64_t{bytes} * 8));
}

}  // namespace patchbay::vswitch
