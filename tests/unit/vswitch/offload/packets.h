// TCP and UDP frames as a sender with offloads makes them, and an independent judge of what comes out:
// parsing and checksums written the plain way of RFC 1071, sharing nothing with the code under test.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/vswitch/memory_port.h"
#include "vswitch/frame.h"

namespace patchbay::vswitch::test {

struct PacketOptions {
  bool ipv6 = false;
  bool udp = false;
  int vlan_tags = 0;
  std::size_t ip_options = 0;     // bytes: IPv4 options, or one IPv6 destination options header
  std::size_t tcp_options = 12;   // bytes, a multiple of 4
  std::size_t payload = 4000;     // bytes
  std::uint16_t gso_size = 1448;  // 0: no segmentation
  std::uint8_t tcp_flags = 0x18;  // PSH, ACK
  std::uint16_t ip_id = 0xFFFE;   // wraps within three segments
  std::uint32_t sequence = 0xFFFF'FF00U;
  unsigned seed = 1;
};

struct Packet {
  Bytes bytes;
  Offload offload;
  std::size_t network = 0, transport = 0, payload = 0;  // offsets
};

inline std::uint32_t big(const Bytes& bytes, std::size_t at, std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i)
    value = value << 8 | std::to_integer<std::uint32_t>(bytes.at(at + i));
  return value;
}
inline void put_big(Bytes& bytes, std::size_t at, std::size_t size, std::uint32_t value) {
  for (std::size_t i = 0; i < size; ++i)
    bytes.at(at + i) = static_cast<std::byte>(value >> (8 * (size - 1 - i)));
}

/// The ones' complement sum in network order, byte by byte.
inline std::uint32_t plain_sum(const Bytes& bytes, std::size_t from, std::size_t size,
                               std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < size; ++i) {
    sum += std::to_integer<std::uint32_t>(bytes.at(from + i)) << (i % 2 == 0 ? 8 : 0);
    sum = (sum & 0xFFFF) + (sum >> 16);
  }
  return sum;
}

inline std::uint32_t pseudo_sum(const Bytes& bytes, std::size_t network, bool ipv6, std::uint32_t protocol,
                                std::size_t length) {
  const std::uint32_t addresses =
      ipv6 ? plain_sum(bytes, network + 8, 32) : plain_sum(bytes, network + 12, 8);
  std::uint32_t sum = addresses + protocol + static_cast<std::uint32_t>(length & 0xFFFF) +
                      static_cast<std::uint32_t>(length >> 16);
  while (sum > 0xFFFF)
    sum = (sum & 0xFFFF) + (sum >> 16);
  return sum;
}

inline Packet make_packet(const PacketOptions& options) {
  Packet packet;
  packet.network = 14 + 4 * static_cast<std::size_t>(options.vlan_tags);
  packet.transport = packet.network + (options.ipv6 ? 40 : 20) + options.ip_options;
  packet.payload = packet.transport + (options.udp ? 8 : 20 + options.tcp_options);
  Bytes& b = packet.bytes;
  b.resize(packet.payload + options.payload);
  std::minstd_rand random(options.seed);
  for (std::byte& byte : b)
    byte = static_cast<std::byte>(random() >> 7);
  b[0] = b[6] = std::byte{2};
  for (std::size_t tag = 0; tag < packet.network - 14; tag += 4) {
    put_big(b, 12 + tag, 2, tag == 0 && options.vlan_tags == 2 ? 0x88A8 : 0x8100);
    put_big(b, 14 + tag, 2, 100 + static_cast<std::uint32_t>(tag));
  }
  const std::uint32_t protocol = options.udp ? 17 : 6;
  const std::size_t length = b.size() - packet.transport;
  put_big(b, packet.network - 2, 2, options.ipv6 ? 0x86DD : 0x0800);
  const std::size_t ip = packet.network;
  if (options.ipv6) {
    put_big(b, ip, 4, 0x6000'0000);
    put_big(b, ip + 4, 2, static_cast<std::uint32_t>(b.size() - ip - 40));
    b[ip + 6] = static_cast<std::byte>(options.ip_options != 0 ? 60 : protocol);
    if (options.ip_options != 0) {
      b[ip + 40] = static_cast<std::byte>(protocol);
      b[ip + 41] = static_cast<std::byte>(options.ip_options / 8 - 1);
    }
  } else {
    b[ip] = static_cast<std::byte>(0x40 + (20 + options.ip_options) / 4);
    put_big(b, ip + 2, 2, static_cast<std::uint32_t>(b.size() - ip));
    put_big(b, ip + 4, 2, options.ip_id);
    put_big(b, ip + 6, 2, 0x4000);
    b[ip + 9] = static_cast<std::byte>(protocol);
    put_big(b, ip + 10, 2, 0);
    put_big(b, ip + 10, 2, ~plain_sum(b, ip, packet.transport - ip) & 0xFFFF);
  }
  const std::size_t checksum = packet.transport + (options.udp ? 6 : 16);
  if (options.udp) {
    put_big(b, packet.transport + 4, 2, static_cast<std::uint32_t>(length));
  } else {
    put_big(b, packet.transport + 4, 4, options.sequence);
    b[packet.transport + 12] = static_cast<std::byte>((20 + options.tcp_options) / 4 << 4);
    b[packet.transport + 13] = static_cast<std::byte>(options.tcp_flags);
  }
  put_big(b, checksum, 2, pseudo_sum(b, ip, options.ipv6, protocol, length));

  packet.offload.flags = Offload::kNeedsChecksum;
  packet.offload.checksum_start = static_cast<std::uint16_t>(packet.transport);
  packet.offload.checksum_offset = options.udp ? 6 : 16;
  packet.offload.gso_size = options.gso_size;
  if (options.gso_size != 0) {
    packet.offload.gso_type = options.udp    ? Offload::kGsoUdpL4
                              : options.ipv6 ? Offload::kGsoTcp6
                                             : Offload::kGsoTcp4;
  }
  return packet;
}

/// What is wrong with the lengths or checksums of a complete frame shaped like `packet`; empty if nothing.
inline std::string faults(const Bytes& b, const Packet& packet, bool ipv6, bool udp) {
  const std::size_t ip = packet.network;
  if (b.size() < packet.payload) return "headers cut";
  if (ipv6) {
    if (big(b, ip + 4, 2) != b.size() - ip - 40) return "IPv6 payload length";
  } else {
    if (big(b, ip + 2, 2) != b.size() - ip) return "IPv4 total length";
    if (plain_sum(b, ip, packet.transport - ip) != 0xFFFF) return "IPv4 checksum";
  }
  const std::size_t length = b.size() - packet.transport;
  if (udp && big(b, packet.transport + 4, 2) != length) return "UDP length";
  const std::uint32_t sum =
      plain_sum(b, packet.transport, length, pseudo_sum(b, ip, ipv6, udp ? 17 : 6, length));
  if (sum != 0xFFFF) return "transport checksum";
  const auto field = big(b, packet.transport + (udp ? 6U : 16U), 2);
  if (field == (udp ? 0U : 0xFFFFU)) return "the other form of a checksum of zero";
  return {};
}

/// A burst that holds one packet, its tail in pieces of `piece_bytes`.
class OneFrame {
 public:
  explicit OneFrame(Packet packet, std::size_t piece_bytes = 1500) : packet_(std::move(packet)) {
    FrameView& view = burst_->next();
    const std::span<const std::byte> all(packet_.bytes);
    view.length = static_cast<std::uint32_t>(all.size());
    view.offload = packet_.offload;
    const std::size_t in_header = std::min(all.size(), kHeaderBytes);
    std::copy_n(all.begin(), in_header, view.header.begin());
    std::size_t pieces = 0;
    for (std::size_t at = in_header; at < all.size(); at += piece_bytes)
      burst_->next_pieces()[pieces++] = all.subspan(at, std::min(piece_bytes, all.size() - at));
    burst_->commit(pieces);
    view.id = 1000;
  }
  [[nodiscard]] Burst& burst() { return *burst_; }
  [[nodiscard]] FrameView& view() { return (*burst_)[0]; }
  [[nodiscard]] const Packet& packet() const { return packet_; }

 private:
  Packet packet_;
  std::unique_ptr<Burst> burst_ = std::make_unique<Burst>();
};

}  // namespace patchbay::vswitch::test
