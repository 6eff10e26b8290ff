// Frames as an Ethernet host builds and reads them, for tests: ARP, and UDP and ICMP echo over IPv4. Plain
// and slow; written against the RFCs rather than shared with the router, so that a mistake there does not
// hide here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace patchbay::tests {

using Frame = std::vector<std::uint8_t>;
using Mac = std::array<std::uint8_t, 6>;
using Ipv4 = std::array<std::uint8_t, 4>;

inline constexpr Mac kBroadcast{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherTypeArp = 0x0806;
inline constexpr std::uint8_t kIcmp = 1;
inline constexpr std::uint8_t kUdp = 17;

struct Ethernet {
  Mac destination{};
  Mac source{};
  std::uint16_t type = kEtherTypeIpv4;
};

struct ArpMessage {
  std::uint16_t operation = 1;  // 1: request, 2: reply
  Mac sender_mac{};
  Ipv4 sender{};
  Mac target_mac{};
  Ipv4 target{};
};

struct Ipv4Packet {
  Ipv4 source{};
  Ipv4 destination{};
  std::uint8_t ttl = 64;
  std::uint8_t protocol = kUdp;
  std::uint16_t identification = 0;
  bool dont_fragment = true;
  std::vector<std::uint8_t> payload;
};

/// Ones' complement sum of RFC 1071, complemented; 0 over data that includes a right checksum.
[[nodiscard]] std::uint16_t internet_checksum(const std::uint8_t* data, std::size_t bytes);

[[nodiscard]] Frame make_arp(const Ethernet& ethernet, const ArpMessage& message);
[[nodiscard]] Frame make_ipv4(const Ethernet& ethernet, const Ipv4Packet& packet);
/// An echo request (type 8) or reply (0) as the payload of an ICMP packet.
[[nodiscard]] std::vector<std::uint8_t> make_echo(std::uint8_t type, std::uint16_t sequence,
                                                  std::size_t data_bytes);
/// A datagram, without checksum, of `bytes` bytes in all, as the payload of a UDP packet.
[[nodiscard]] std::vector<std::uint8_t> make_datagram(std::uint32_t sequence, std::size_t bytes);
/// The sequence number that make_datagram() put in.
[[nodiscard]] std::uint32_t datagram_sequence(const Ipv4Packet& packet);

[[nodiscard]] Ethernet parse_ethernet(const Frame& frame);
/// Nothing unless the frame is a complete IPv4-over-Ethernet ARP message.
[[nodiscard]] std::optional<ArpMessage> parse_arp(const Frame& frame);
/// Nothing unless the frame is IPv4 without options, with a right header checksum and all of its total
/// length.
[[nodiscard]] std::optional<Ipv4Packet> parse_ipv4(const Frame& frame);

}  // namespace patchbay::tests
