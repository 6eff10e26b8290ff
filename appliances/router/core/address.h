// MAC addresses, IPv4 addresses and prefixes, interface numbers and time, as all parts of the router use
// them.
//
// IPv4 addresses are kept in host byte order; wire.h converts. Everything here is a plain value.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <limits>

namespace patchbay::router {

/// Monotonic time in nanoseconds since an arbitrary start. The router never reads a clock: callers pass it
/// in.
using Nanoseconds = std::uint64_t;
inline constexpr Nanoseconds kMillisecond = 1'000'000;
inline constexpr Nanoseconds kSecond = 1'000'000'000;
/// A deadline that never comes.
inline constexpr Nanoseconds kNever = std::numeric_limits<Nanoseconds>::max();

/// Index of an interface: its position in RouterConfig::interfaces.
using InterfaceId = std::uint16_t;
inline constexpr InterfaceId kNoInterface = std::numeric_limits<InterfaceId>::max();

struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};

  /// The bytes in one integer, for comparisons: every received frame takes some.
  [[nodiscard]] std::uint64_t value() const noexcept {
    std::uint32_t low = 0;
    std::uint16_t high = 0;
    std::memcpy(&low, bytes.data(), sizeof(low));
    std::memcpy(&high, bytes.data() + sizeof(low), sizeof(high));
    return std::uint64_t{high} << 32 | low;
  }
  friend bool operator==(const MacAddress& a, const MacAddress& b) noexcept { return a.value() == b.value(); }
  /// Multicast and broadcast (IEEE 802, individual/group bit).
  [[nodiscard]] constexpr bool is_group() const noexcept { return (bytes[0] & 1) != 0; }
  [[nodiscard]] bool is_zero() const noexcept { return value() == 0; }
};
inline constexpr MacAddress kBroadcastMac{{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}};

struct Ipv4Address {
  std::uint32_t value = 0;  // host byte order

  friend constexpr auto operator<=>(const Ipv4Address&, const Ipv4Address&) = default;
  [[nodiscard]] constexpr bool is_zero() const noexcept { return value == 0; }
  /// 0.0.0.0/8, "this network" (RFC 1122, 3.2.1.3).
  [[nodiscard]] constexpr bool is_this_network() const noexcept { return value >> 24 == 0; }
  [[nodiscard]] constexpr bool is_loopback() const noexcept { return value >> 24 == 127; }
  [[nodiscard]] constexpr bool is_multicast() const noexcept { return value >> 28 == 0xE; }
  /// 240.0.0.0/4, the limited broadcast address included.
  [[nodiscard]] constexpr bool is_class_e() const noexcept { return value >> 28 == 0xF; }
  [[nodiscard]] constexpr bool is_limited_broadcast() const noexcept { return value == 0xFFFF'FFFFU; }
};

constexpr Ipv4Address make_ipv4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) noexcept {
  return {static_cast<std::uint32_t>(a) << 24 | static_cast<std::uint32_t>(b) << 16 |
          static_cast<std::uint32_t>(c) << 8 | d};
}

constexpr std::uint32_t prefix_mask(unsigned length) noexcept {
  return length == 0 ? 0 : ~std::uint32_t{0} << (32 - length);
}

struct Ipv4Prefix {
  Ipv4Address address;
  std::uint8_t length = 0;  // 0 to 32

  friend constexpr auto operator<=>(const Ipv4Prefix&, const Ipv4Prefix&) = default;
  [[nodiscard]] constexpr std::uint32_t mask() const noexcept { return prefix_mask(length); }
  /// The same prefix with host bits cleared.
  [[nodiscard]] constexpr Ipv4Prefix network() const noexcept { return {{address.value & mask()}, length}; }
  [[nodiscard]] constexpr bool contains(Ipv4Address other) const noexcept {
    return ((address.value ^ other.value) & mask()) == 0;
  }
  /// Networks of /31 (RFC 3021) and /32 have neither a network nor a broadcast address.
  [[nodiscard]] constexpr bool has_broadcast() const noexcept { return length < 31; }
  [[nodiscard]] constexpr Ipv4Address broadcast() const noexcept { return {address.value | ~mask()}; }
};

}  // namespace patchbay::router
