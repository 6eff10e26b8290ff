// How many ICMP errors may be sent: a token bucket per source of the offending packets, and one for all
// (RFC 1812, 4.3.2.8).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "appliances/router/core/address.h"

namespace patchbay::router {

class TokenBucket {
 public:
  /// Takes a token if there is one. Tokens come at one per `interval` up to `burst`; a bucket starts full.
  [[nodiscard]] bool take(Nanoseconds now, Nanoseconds interval, unsigned burst) noexcept {
    // Kept as the time at which the bucket was, or will be, full again (the generic cell rate algorithm).
    const Nanoseconds full_at = full_at_ > now ? full_at_ : now;
    if (full_at - now > interval * (burst - 1)) return false;
    full_at_ = full_at + interval;
    return true;
  }

 private:
  Nanoseconds full_at_ = 0;
};

class IcmpLimiter {
 public:
  static constexpr Nanoseconds kSourceInterval = kSecond / 20;  // 20 errors a second to one source
  static constexpr unsigned kSourceBurst = 20;
  static constexpr Nanoseconds kTotalInterval = kSecond / 1000;  // 1000 a second in all
  static constexpr unsigned kTotalBurst = 200;

  struct Source {
    Ipv4Address address;
    TokenBucket bucket;
  };

  /// `sources` has a power of two of elements. Sources that share an element push each other out and start
  /// afresh; the total still bounds them.
  explicit IcmpLimiter(std::span<Source> sources) noexcept : sources_(sources) {}

  [[nodiscard]] bool allow(Ipv4Address source, Nanoseconds now) noexcept {
    const std::size_t index = (source.value * 0x9E37'79B1U >> 16) & (sources_.size() - 1);
    Source& entry = sources_[index];
    if (entry.address != source) entry = {source, {}};
    return entry.bucket.take(now, kSourceInterval, kSourceBurst) &&
           total_.take(now, kTotalInterval, kTotalBurst);
  }

 private:
  std::span<Source> sources_;
  TokenBucket total_;
};

}  // namespace patchbay::router
