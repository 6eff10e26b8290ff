// What the router counts. Plain integers: one thread writes and reads them.
//
// Packets are conserved. At any time between two calls of the router
//   received + originated + fragments_made == transmitted + consumed + fragmented + held + sum(dropped)
// which the tests and the fuzzer check.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "appliances/router/core/drop_reason.h"

namespace patchbay::router {

struct RouterCounters {
  std::uint64_t received = 0;    // frames handed to receive()
  std::uint64_t originated = 0;  // made here: ARP, ICMP errors, echo replies, pings
  std::uint64_t fragments_made = 0;
  std::uint64_t transmitted = 0;      // taken by the driver
  std::uint64_t consumed = 0;         // answered or used by the router itself
  std::uint64_t fragmented = 0;       // replaced by fragments
  std::uint64_t held = 0;             // waiting for ARP or reassembly now; not a total
  std::uint64_t forwarded = 0;        // received packets passed on towards their next hop
  std::uint64_t icmp_errors = 0;      // ICMP errors and redirects made
  std::uint64_t icmp_suppressed = 0;  // ICMP errors not sent because of the rate limit
  std::array<std::uint64_t, kDropReasons> dropped{};

  [[nodiscard]] std::uint64_t& drops(DropReason reason) noexcept {
    return dropped[static_cast<std::size_t>(reason)];
  }
  [[nodiscard]] std::uint64_t drops(DropReason reason) const noexcept {
    return dropped[static_cast<std::size_t>(reason)];
  }
  [[nodiscard]] constexpr std::uint64_t total_dropped() const noexcept {
    std::uint64_t sum = 0;
    for (const auto count : dropped)
      sum += count;
    return sum;
  }
  [[nodiscard]] constexpr bool balanced() const noexcept {
    return received + originated + fragments_made ==
           transmitted + consumed + fragmented + held + total_dropped();
  }
};

struct InterfaceCounters {
  std::uint64_t rx_frames = 0;
  std::uint64_t rx_bytes = 0;
  std::uint64_t rx_dropped = 0;  // received here and dropped, for whatever reason
  std::uint64_t tx_frames = 0;
  std::uint64_t tx_bytes = 0;
  std::uint64_t tx_dropped = 0;  // not taken by the driver
};

}  // namespace patchbay::router
