// Frames for the router's tests, built and taken apart by code of their own: bytes in, bytes out, nothing of
// the router's headers or checksums.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace patchbay::router::test {

using Bytes = std::vector<std::uint8_t>;

inline void put16(Bytes& bytes, std::size_t at, std::uint32_t value) {
  bytes.at(at) = static_cast<std::uint8_t>(value >> 8);
  bytes.at(at + 1) = static_cast<std::uint8_t>(value);
}
inline void put32(Bytes& bytes, std::size_t at, std::uint32_t value) {
  put16(bytes, at, value >> 16);
  put16(bytes, at + 2, value & 0xFFFF);
}
inline std::uint32_t get16(const Bytes& bytes, std::size_t at) {
  return static_cast<std::uint32_t>(bytes.at(at)) << 8 | bytes.at(at + 1);
}
inline std::uint32_t get32(const Bytes& bytes, std::size_t at) {
  return get16(bytes, at) << 16 | get16(bytes, at + 2);
}

/// RFC 1071, as slowly as it reads.
inline std::uint16_t reference_checksum(const Bytes& bytes, std::size_t first, std::size_t count) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    sum += static_cast<std::uint32_t>(bytes.at(first + i)) << (i % 2 == 0 ? 8 : 0);
    while (sum > 0xFFFF)
      sum = (sum & 0xFFFF) + (sum >> 16);
  }
  return static_cast<std::uint16_t>(~sum);
}

/// "10.0.1.2"
inline std::uint32_t ip(const std::string& text) {
  std::uint32_t value = 0;
  std::size_t at = 0;
  for (int i = 0; i < 4; ++i) {
    std::size_t used = 0;
    value = value << 8 | static_cast<std::uint32_t>(std::stoul(text.substr(at), &used));
    at += used + 1;
  }
  return value;
}

using Mac = std::vector<std::uint8_t>;
/// The router's interface `i` has 02:00:00:00:ff:0i; host n on its network has 02:00:00:00:0i:0n.
inline Mac router_mac(unsigned i) {
  return {2, 0, 0, 0, 0xFF, static_cast<std::uint8_t>(i)};
}
inline Mac host_mac(unsigned i, unsigned n) {
  return {2, 0, 0, 0, static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(n)};
}
inline const Mac kBroadcast(6, 0xFF);
inline const Mac kZeroMac(6, 0);

inline Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

inline Bytes ethernet(const Mac& destination, const Mac& source, std::uint32_t type, const Bytes& payload) {
  return destination + source + Bytes{static_cast<std::uint8_t>(type >> 8), static_cast<std::uint8_t>(type)} +
         payload;
}

struct Ip {
  std::string source = "10.0.1.2";
  std::string destination = "10.0.2.2";
  unsigned ttl = 64;
  unsigned protocol = 17;
  unsigned tos = 0;
  unsigned identification = 0x1234;
  unsigned flags_offset = 0;  // 0x4000: DF, 0x2000: MF
  Bytes options = {};         // a multiple of 4
  Bytes payload = Bytes(16, 0xAB);
};

inline void fix_ip_checksum(Bytes& packet, std::size_t at = 0) {
  put16(packet, at + 10, 0);
  put16(packet, at + 10, reference_checksum(packet, at, (packet.at(at) & 0xFU) * 4));
}

inline Bytes ipv4(const Ip& ip_fields) {
  Bytes packet(20, 0);
  packet = packet + ip_fields.options;
  packet[0] = static_cast<std::uint8_t>(0x40 | packet.size() / 4);
  packet[1] = static_cast<std::uint8_t>(ip_fields.tos);
  put16(packet, 2, static_cast<std::uint32_t>(packet.size() + ip_fields.payload.size()));
  put16(packet, 4, ip_fields.identification);
  put16(packet, 6, ip_fields.flags_offset);
  packet[8] = static_cast<std::uint8_t>(ip_fields.ttl);
  packet[9] = static_cast<std::uint8_t>(ip_fields.protocol);
  put32(packet, 12, ip(ip_fields.source));
  put32(packet, 16, ip(ip_fields.destination));
  fix_ip_checksum(packet);
  return packet + ip_fields.payload;
}

/// An ICMP message: type, code, the second word and what follows.
inline Bytes icmp(unsigned type, unsigned code, std::uint32_t rest, const Bytes& data) {
  Bytes message(8, 0);
  message[0] = static_cast<std::uint8_t>(type);
  message[1] = static_cast<std::uint8_t>(code);
  put32(message, 4, rest);
  message = message + data;
  put16(message, 2, reference_checksum(message, 0, message.size()));
  return message;
}

/// A UDP header with payload of zeros and a source port, a stand-in for any transport.
inline Bytes udp(unsigned source_port, unsigned destination_port, std::size_t data) {
  Bytes datagram(8 + data, 0);
  put16(datagram, 0, source_port);
  put16(datagram, 2, destination_port);
  put16(datagram, 4, static_cast<std::uint32_t>(datagram.size()));
  return datagram;
}

/// A frame from host `n` of network `i` to the router.
inline Bytes from_host(unsigned i, unsigned n, const Bytes& packet) {
  return ethernet(router_mac(i), host_mac(i, n), 0x0800, packet);
}

struct Arp {
  unsigned operation = 1;
  Mac sender_mac;
  std::string sender;
  Mac target_mac = kZeroMac;
  std::string target;
};

inline Bytes arp_packet(const Arp& arp) {
  Bytes packet(8, 0);
  put16(packet, 0, 1);
  put16(packet, 2, 0x0800);
  packet[4] = 6;
  packet[5] = 4;
  put16(packet, 6, arp.operation);
  Bytes sender(4), target(4);
  put32(sender, 0, ip(arp.sender));
  put32(target, 0, ip(arp.target));
  return packet + arp.sender_mac + sender + arp.target_mac + target;
}

inline Bytes tail(const Bytes& bytes, std::size_t from) {
  if (from > bytes.size()) throw std::out_of_range("frame too short");
  return Bytes(bytes.begin() + static_cast<std::ptrdiff_t>(from), bytes.end());
}
inline Bytes head(const Bytes& bytes, std::size_t count) {
  return Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(std::min(count, bytes.size())));
}

}  // namespace patchbay::router::test
