#include "vswitch/traffic/arp_station.h"

#include <algorithm>
#include <cstring>

namespace patchbay::vswitch::traffic {

namespace {

using detail::get;
using detail::put;

constexpr std::uint64_t kArp = 0x0806;
constexpr std::uint16_t kRequest = 1;
constexpr std::uint16_t kReply = 2;
constexpr std::size_t kPacket = 14;  // offset of the packet; its fields follow RFC 826
constexpr std::size_t kOperation = kPacket + 6;
constexpr std::size_t kSenderMac = kPacket + 8;
constexpr std::size_t kSender = kPacket + 14;
constexpr std::size_t kTargetMac = kPacket + 18;
constexpr std::size_t kTarget = kPacket + 24;
constexpr std::size_t kEnd = kPacket + 28;
constexpr std::uint64_t kEthernetIpv4 = 0x0001'0800'0604;  // hardware type, protocol type, address lengths
constexpr MacBytes kBroadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

template <typename Bytes>
Bytes take(const std::byte* at) noexcept {
  Bytes bytes;
  std::memcpy(bytes.data(), at, bytes.size());
  return bytes;
}

template <typename Bytes>
void give(std::byte* at, const Bytes& bytes) noexcept {
  std::memcpy(at, bytes.data(), bytes.size());
}

}  // namespace

bool ArpStation::receive(const FrameView& frame) noexcept {
  const std::byte* const at = frame.header.data();
  if (frame.length < kPacket || get<2>(at + 12) != kArp) return false;
  if (frame.length < kEnd || get<6>(at + kPacket) != kEthernetIpv4) return true;
  const auto sender_mac = take<MacBytes>(at + kSenderMac);
  const auto sender = take<Ipv4Bytes>(at + kSender);
  if (sender == wanted_) answer_ = sender_mac;
  if (get<2>(at + kOperation) == kRequest && take<Ipv4Bytes>(at + kTarget) == address_)
    send(kReply, sender_mac, sender_mac, sender);
  return true;
}

void ArpStation::resolve(const Ipv4Bytes& address) noexcept {
  wanted_ = address;
  answer_.reset();
  send(kRequest, kBroadcast, MacBytes{}, address);
}

void ArpStation::send(std::uint16_t operation, const MacBytes& to_mac, const MacBytes& target_mac,
                      const Ipv4Bytes& target) noexcept {
  if (count_ == kQueue) return;
  Frame& frame = queue_[(head_ + count_++) % kQueue];
  frame.fill(std::byte{0});
  std::byte* const at = frame.data();
  give(at, to_mac);
  give(at + 6, mac_);
  put<2>(at + 12, kArp);
  put<6>(at + kPacket, kEthernetIpv4);
  put<2>(at + kOperation, operation);
  give(at + kSenderMac, mac_);
  give(at + kSender, address_);
  give(at + kTargetMac, target_mac);
  give(at + kTarget, target);
}

void ArpStation::sent() noexcept {
  head_ = (head_ + 1) % kQueue;
  --count_;
}

}  // namespace patchbay::vswitch::traffic
