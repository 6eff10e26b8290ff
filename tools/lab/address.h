// Internet and Ethernet addresses as lab files write them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "tools/lab/parsed.h"

namespace patchbay::tools {

enum class IpFamily { v4, v6 };

struct IpAddress {
  IpFamily family = IpFamily::v4;
  std::array<std::uint8_t, 16> bytes{};  // network byte order; IPv4 uses the first four
  friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

/// An address with the length of its subnet's prefix: "10.0.1.2/24".
struct InterfaceAddress {
  IpAddress address;
  unsigned prefix_length = 0;
  friend bool operator==(const InterfaceAddress&, const InterfaceAddress&) = default;
};

using MacAddress = std::array<std::uint8_t, 6>;

[[nodiscard]] std::string to_string(const IpAddress& address);
[[nodiscard]] std::string to_string(const InterfaceAddress& address);
/// "02:50:1f:00:a2:07".
[[nodiscard]] std::string to_string(const MacAddress& mac);

/// An address of either family without prefix length.
[[nodiscard]] Parsed<IpAddress> parse_ip_address(std::string_view text);

/// An address that an interface can have: with prefix length, of the family asked for, unicast, neither its
/// subnet's own nor broadcast address (RFC 1122 3.2.1.3; a /31 has neither, RFC 3021), nor IPv6's
/// subnet-router anycast address (RFC 4291 2.6.1; a /127 has none, RFC 6164).
[[nodiscard]] Parsed<InterfaceAddress> parse_interface_address(std::string_view text, IpFamily family);

/// Six pairs of hexadecimal digits separated by colons; a unicast address other than zero.
[[nodiscard]] Parsed<MacAddress> parse_mac_address(std::string_view text);

/// The address an interface gets unless its link names one: 02:50, then 32 bits of a hash of the three names,
/// so that it is the same at every deployment. `attempt` > 0 gives further candidates where two collide.
[[nodiscard]] MacAddress derived_mac_address(std::string_view lab, std::string_view node,
                                             std::string_view interface, unsigned attempt = 0);

/// The first `length` bits of `address`, the others zero.
[[nodiscard]] IpAddress network_of(const IpAddress& address, unsigned length);
/// True if one of the two subnets lies within the other.
[[nodiscard]] bool subnets_overlap(const InterfaceAddress& a, const InterfaceAddress& b);

}  // namespace patchbay::tools
