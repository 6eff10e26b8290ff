// Addresses and numbers as people write them. Strict: no leading zeros that would read as octal, no signs,
// nothing behind.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "appliances/router/core/address.h"

namespace patchbay::router {

[[nodiscard]] std::optional<std::uint32_t> parse_number(std::string_view text) noexcept;
[[nodiscard]] std::optional<Ipv4Address> parse_address(std::string_view text) noexcept;
/// "A.B.C.D/M"; host bits are kept.
[[nodiscard]] std::optional<Ipv4Prefix> parse_prefix(std::string_view text) noexcept;

}  // namespace patchbay::router
