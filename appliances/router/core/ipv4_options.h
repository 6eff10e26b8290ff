// IPv4 options (RFC 791, 3.1; RFC 1812, 5.2.4 and 5.3.13).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "appliances/router/core/ipv4_header.h"

namespace patchbay::router {

enum class Ipv4Option : std::uint8_t {
  end = 0,
  no_operation = 1,
  record_route = 7,
  timestamp = 68,
  loose_source_route = 131,
  strict_source_route = 137,
};

struct OptionsCheck {
  enum class Result : std::uint8_t { good, malformed, source_route };
  Result result = Result::good;
  std::uint8_t pointer = 0;  // where in the header the error is, for Parameter Problem
};

/// Walks the options of a header whose length is valid.
[[nodiscard]] OptionsCheck check_options(const Ipv4Header& header) noexcept;

/// Writes `own` (the address of the outgoing interface) and the time into record route and timestamp options
/// that have room (RFC 1812, 5.2.4.1). The options have been checked. True if the header changed: its
/// checksum is then brought up to date.
bool fill_in_options(Ipv4Header& header, Ipv4Address own, Nanoseconds now) noexcept;

/// Builds the header of all fragments but the first: options without the copied flag are left out (RFC
/// 791, 3.1). Returns its length; the caller sets lengths, flags and checksum.
std::size_t copy_header_for_later_fragments(const Ipv4Header& header,
                                            std::span<std::byte, kMaxIpv4HeaderBytes> copy) noexcept;

}  // namespace patchbay::router
