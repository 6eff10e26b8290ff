#include "tests/integration/router/frames.h"

#include <algorithm>
#include <span>

namespace patchbay::tests {
namespace {

constexpr std::size_t kEthernetBytes = 14;
constexpr std::size_t kArpBytes = 28;
constexpr std::size_t kIpv4Bytes = 20;
constexpr std::size_t kMinimumFrame = 60;
constexpr std::size_t kUdpBytes = 8;

class Writer {
 public:
  Writer& u8(std::uint8_t value) {
    frame_.push_back(value);
    return *this;
  }
  Writer& u16(std::size_t value) {
    return u8(static_cast<std::uint8_t>(value >> 8)).u8(static_cast<std::uint8_t>(value));
  }
  template <typename Bytes>
  Writer& bytes(const Bytes& value) {
    frame_.insert(frame_.end(), value.begin(), value.end());
    return *this;
  }
  [[nodiscard]] Frame& frame() { return frame_; }

 private:
  Frame frame_;
};

void put_ethernet(Writer& writer, const Ethernet& ethernet, std::uint16_t type) {
  writer.bytes(ethernet.destination).bytes(ethernet.source).u16(type);
}

Frame padded(Writer& writer) {
  writer.frame().resize(std::max(writer.frame().size(), kMinimumFrame));
  return std::move(writer.frame());
}

std::uint16_t u16_at(const std::uint8_t* data) {
  return static_cast<std::uint16_t>(data[0] << 8 | data[1]);
}

template <std::size_t N>
std::array<std::uint8_t, N> array_at(const std::uint8_t* data) {
  std::array<std::uint8_t, N> result;
  std::copy_n(data, N, result.begin());
  return result;
}

void put_checksum(std::span<std::uint8_t> data, std::size_t offset) {
  const std::uint16_t sum = internet_checksum(data.data(), data.size());
  data[offset] = static_cast<std::uint8_t>(sum >> 8);
  data[offset + 1] = static_cast<std::uint8_t>(sum);
}

}  // namespace

std::uint16_t internet_checksum(const std::uint8_t* data, std::size_t bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes; ++i)
    sum += (i % 2 == 0) ? std::uint32_t{data[i]} << 8 : data[i];
  while (sum > 0xFFFF)
    sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

Frame make_arp(const Ethernet& ethernet, const ArpMessage& message) {
  Writer writer;
  put_ethernet(writer, ethernet, kEtherTypeArp);
  writer.u16(1).u16(kEtherTypeIpv4).u8(6).u8(4).u16(message.operation);
  writer.bytes(message.sender_mac).bytes(message.sender).bytes(message.target_mac).bytes(message.target);
  return padded(writer);
}

Frame make_ipv4(const Ethernet& ethernet, const Ipv4Packet& packet) {
  Writer writer;
  put_ethernet(writer, ethernet, kEtherTypeIpv4);
  writer.u8(0x45).u8(0).u16(kIpv4Bytes + packet.payload.size()).u16(packet.identification);
  writer.u16(packet.dont_fragment ? 0x4000 : 0).u8(packet.ttl).u8(packet.protocol).u16(0);
  writer.bytes(packet.source).bytes(packet.destination);
  put_checksum(std::span(writer.frame()).subspan(kEthernetBytes, kIpv4Bytes), 10);
  writer.bytes(packet.payload);
  return padded(writer);
}

std::vector<std::uint8_t> make_echo(std::uint8_t type, std::uint16_t sequence, std::size_t data_bytes) {
  Writer writer;
  writer.u8(type).u8(0).u16(0).u16(0x1234).u16(sequence);
  for (std::size_t i = 0; i < data_bytes; ++i)
    writer.u8(static_cast<std::uint8_t>(i));
  put_checksum(writer.frame(), 2);
  return std::move(writer.frame());
}

std::vector<std::uint8_t> make_datagram(std::uint32_t sequence, std::size_t bytes) {
  Writer writer;
  writer.u16(4000).u16(5000).u16(bytes).u16(0);
  writer.u16(sequence >> 16).u16(sequence & 0xFFFF);
  while (writer.frame().size() < bytes)
    writer.u8(static_cast<std::uint8_t>(sequence + writer.frame().size()));
  return std::move(writer.frame());
}

std::uint32_t datagram_sequence(const Ipv4Packet& packet) {
  const std::uint8_t* data = packet.payload.data() + kUdpBytes;
  return std::uint32_t{u16_at(data)} << 16 | u16_at(data + 2);
}

Ethernet parse_ethernet(const Frame& frame) {
  if (frame.size() < kEthernetBytes) return {{}, {}, 0};
  return {array_at<6>(frame.data()), array_at<6>(frame.data() + 6), u16_at(frame.data() + 12)};
}

std::optional<ArpMessage> parse_arp(const Frame& frame) {
  if (frame.size() < kEthernetBytes + kArpBytes || parse_ethernet(frame).type != kEtherTypeArp) return {};
  const std::uint8_t* arp = frame.data() + kEthernetBytes;
  if (u16_at(arp) != 1 || u16_at(arp + 2) != kEtherTypeIpv4 || arp[4] != 6 || arp[5] != 4) return {};
  return ArpMessage{u16_at(arp + 6), array_at<6>(arp + 8), array_at<4>(arp + 14), array_at<6>(arp + 18),
                    array_at<4>(arp + 24)};
}

std::optional<Ipv4Packet> parse_ipv4(const Frame& frame) {
  if (frame.size() < kEthernetBytes + kIpv4Bytes || parse_ethernet(frame).type != kEtherTypeIpv4) return {};
  const std::uint8_t* ip = frame.data() + kEthernetBytes;
  const std::size_t total = u16_at(ip + 2);
  if (ip[0] != 0x45 || total < kIpv4Bytes || total > frame.size() - kEthernetBytes) return {};
  if (internet_checksum(ip, kIpv4Bytes) != 0) return {};
  Ipv4Packet packet;
  packet.source = array_at<4>(ip + 12);
  packet.destination = array_at<4>(ip + 16);
  packet.ttl = ip[8];
  packet.protocol = ip[9];
  packet.identification = u16_at(ip + 4);
  packet.dont_fragment = (ip[6] & 0x40) != 0;
  packet.payload.assign(ip + kIpv4Bytes, ip + total);
  return packet;
}

}  // namespace patchbay::tests
