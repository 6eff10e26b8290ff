// The IPv4 header (RFC 791, 3.1).
#pragma once

#include <cstddef>
#include <cstdint>

#include "appliances/router/core/ethernet.h"
#include "appliances/router/core/packet.h"
#include "appliances/router/core/wire.h"

namespace patchbay::router {

enum class IpProtocol : std::uint8_t { icmp = 1, tcp = 6, udp = 17 };

inline constexpr std::uint8_t kDefaultTtl = 64;
/// Class selector 6, "internetwork control": what ICMP errors carry (RFC 1812, 4.3.2.5).
inline constexpr std::uint8_t kTosInternetworkControl = 0xC0;

struct Ipv4Header {
  static constexpr std::uint16_t kDontFragment = 0x4000;
  static constexpr std::uint16_t kMoreFragments = 0x2000;
  static constexpr std::uint16_t kOffsetMask = 0x1FFF;  // in units of 8 bytes
  static constexpr std::uint8_t kPlain = 0x45;          // version 4, no options

  std::uint8_t version_ihl;
  std::uint8_t tos;
  BigEndian16 total_length;
  BigEndian16 identification;
  BigEndian16 flags_offset;
  std::uint8_t ttl;
  std::uint8_t protocol;
  BigEndian16 checksum;
  BigEndian32 source;
  BigEndian32 destination;

  [[nodiscard]] unsigned version() const noexcept { return version_ihl >> 4; }
  [[nodiscard]] std::size_t header_bytes() const noexcept { return std::size_t{4} * (version_ihl & 0xFU); }
  [[nodiscard]] bool has_options() const noexcept { return version_ihl != kPlain; }
  [[nodiscard]] bool dont_fragment() const noexcept { return (flags_offset & kDontFragment) != 0; }
  [[nodiscard]] bool more_fragments() const noexcept { return (flags_offset & kMoreFragments) != 0; }
  /// Of this fragment's payload in the datagram, in bytes.
  [[nodiscard]] std::size_t fragment_offset() const noexcept {
    return std::size_t{8} * (flags_offset & kOffsetMask);
  }
  [[nodiscard]] bool is_fragment() const noexcept {
    return (flags_offset & (kMoreFragments | kOffsetMask)) != 0;
  }
  [[nodiscard]] bool is(IpProtocol other) const noexcept {
    return protocol == static_cast<std::uint8_t>(other);
  }
};
static_assert(sizeof(Ipv4Header) == 20 && alignof(Ipv4Header) == 1);

inline constexpr std::size_t kIpv4Bytes = sizeof(Ipv4Header);
inline constexpr std::size_t kMaxIpv4HeaderBytes = 60;

/// The IPv4 header of a frame known to hold one.
[[nodiscard]] inline Ipv4Header& ipv4_of(PacketBuffer& packet) noexcept {
  return view_as<Ipv4Header>(packet.data() + kEthernetBytes);
}
/// The bytes behind a validated IPv4 header.
[[nodiscard]] inline std::span<std::byte> ipv4_payload(PacketBuffer& packet) noexcept {
  return packet.bytes().subspan(kEthernetBytes + ipv4_of(packet).header_bytes());
}

}  // namespace patchbay::router
