#include "vswitch/traffic/frame_template.h"

#include <algorithm>
#include <cstring>

namespace patchbay::vswitch::traffic {

namespace {

using detail::get;
using detail::put;

constexpr std::size_t kIp = 14;
constexpr std::size_t kUdp = kIp + 20;
constexpr std::uint64_t kProtocolUdp = 17;
// Source ports come first: 16,384 of the dynamic range (RFC 6335, 6), then the destination's count up.
constexpr std::uint32_t kSourcePorts = 16384;
constexpr std::uint32_t kFirstSourcePort = 49152;
constexpr std::uint32_t kFirstDestinationPort = 5201;
static_assert(kFirstDestinationPort + kMaxFlows / kSourcePorts < 65536);

template <std::size_t N>
void put_bytes(std::byte* at, const std::array<std::uint8_t, N>& bytes) noexcept {
  std::memcpy(at, bytes.data(), N);
}

std::uint16_t header_checksum(const std::byte* header) noexcept {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < 20; i += 2)
    sum += get<2>(header + i);
  while (sum > 0xffff)
    sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace

FrameTemplate::FrameTemplate(const StreamAddresses& addresses, std::size_t size) noexcept
    : length_(static_cast<std::uint32_t>(size - kFcsBytes)) {
  std::byte* const at = header_.data();
  put_bytes(at, addresses.next_hop_mac);
  put_bytes(at + 6, addresses.source_mac);
  put<2>(at + 12, 0x0800);
  std::byte* const ip = at + kIp;
  put<2>(ip, 0x4500);
  put<2>(ip + 2, length_ - kIp);
  put<2>(ip + 6, 0x4000);  // don't fragment: a frame too large for the path is to be lost, not multiplied
  put<1>(ip + 8, 64);
  put<1>(ip + 9, kProtocolUdp);
  put_bytes(ip + 12, addresses.source);
  put_bytes(ip + 16, addresses.destination);
  put<2>(ip + 10, header_checksum(ip));
  put<2>(at + kUdp + 4, length_ - kUdp);
}

void FrameTemplate::fill(FrameView& frame, std::uint32_t flow, const StreamTag& tag) const noexcept {
  frame.length = length_;
  frame.offload = {};
  // Whole cache lines, of a size the compiler knows.
  if (length_ <= 64) {
    std::memcpy(frame.header.data(), header_.data(), 64);
  } else {
    std::memcpy(frame.header.data(), header_.data(), kHeaderBytes);
  }
  put<2>(frame.header.data() + kUdp, kFirstSourcePort + flow % kSourcePorts);
  put<2>(frame.header.data() + kUdp + 2, kFirstDestinationPort + flow / kSourcePorts);
  write_tag(std::span(frame.header).subspan<kTagOffset, kTagBytes>(), tag);
}

std::optional<StreamTag> tag_of(const FrameView& frame) noexcept {
  const std::byte* const at = frame.header.data();
  // IPv4 without options, UDP. Fragments do not occur: the frames forbid it.
  if (frame.length < kTagOffset + kTagBytes || get<2>(at + 12) != 0x0800 || get<1>(at + kIp) != 0x45 ||
      get<1>(at + kIp + 9) != kProtocolUdp) {
    return std::nullopt;
  }
  return read_tag(std::span(frame.header).subspan<kTagOffset, kTagBytes>());
}

}  // namespace patchbay::vswitch::traffic
