#include "devices/net/e1000/transmit_offload.h"

#include <algorithm>
#include <cstring>

#include "devices/net/e1000/registers.h"

namespace patchbay::devices::net::e1000 {

using vswitch::FrameView;
using vswitch::Offload;

namespace {

constexpr std::size_t kMinIpv4Header = 20;
constexpr std::size_t kIpv6Header = 40;
constexpr std::size_t kMinTcpHeader = 20;
constexpr std::size_t kMaxHeaderLength = 240;  // of a context (3.3.6)

std::uint16_t get16(const FrameView& frame, std::size_t offset) {
  return static_cast<std::uint16_t>((std::to_integer<unsigned>(frame.header[offset]) << 8) |
                                    std::to_integer<unsigned>(frame.header[offset + 1]));
}

void put16(FrameView& frame, std::size_t offset, std::uint16_t value) {
  frame.header[offset] = static_cast<std::byte>(value >> 8);
  frame.header[offset + 1] = static_cast<std::byte>(value & 0xFF);
}

std::uint16_t fold(std::uint32_t sum) {
  while (sum > 0xFFFF)
    sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

/// Sum over [begin, end) of the header copy (RFC 1071); an odd last byte counts as the high one.
std::uint16_t sum_header(const FrameView& frame, std::size_t begin, std::size_t end) {
  std::uint32_t sum = 0;
  for (; begin + 1 < end; begin += 2)
    sum += get16(frame, begin);
  if (begin < end) sum += std::to_integer<std::uint32_t>(frame.header[begin]) << 8;
  return fold(sum);
}

/// IPv4 header checksum by the context's offsets; the range must lie in the header copy.
bool insert_ip_checksum(const OffloadRequest& request, FrameView& frame) {
  const std::size_t available = frame.header_bytes().size();
  const std::size_t end = std::size_t{request.ip_end} + 1;
  if (request.ip_end == 0 || request.ip_start >= end || end > available ||
      request.ip_offset + 2u > available) {
    return false;
  }
  put16(frame, request.ip_offset, static_cast<std::uint16_t>(~sum_header(frame, request.ip_start, end)));
  return true;
}

}  // namespace

bool request_checksum(std::uint8_t start, std::uint8_t result, std::uint16_t end, FrameView& frame) noexcept {
  if (result < start || result + 2u > frame.length || start >= frame.length) return false;
  if (end != 0 && end + 1u != frame.length) {
    // Only part of the frame is summed, which the wire's metadata cannot say: done here, in the header copy.
    const std::size_t available = frame.header_bytes().size();
    if (end < start || end >= available || result + 2u > available) return false;
    const std::uint16_t sum = sum_header(frame, start, std::size_t{end} + 1);
    put16(frame, result, sum == 0xFFFF ? sum : static_cast<std::uint16_t>(~sum));
    return true;
  }
  frame.offload.flags = Offload::kNeedsChecksum;
  frame.offload.checksum_start = start;
  frame.offload.checksum_offset = static_cast<std::uint16_t>(result - start);
  return true;
}

bool request_checksums(const OffloadRequest& request, FrameView& frame) noexcept {
  if (request.insert_ip_checksum && !insert_ip_checksum(request, frame)) return false;
  if (!request.insert_tcp_checksum) return true;
  return request_checksum(request.tcp_start, request.tcp_offset, request.tcp_end, frame);
}

bool request_segmentation(const OffloadRequest& request, FrameView& frame) noexcept {
  const std::size_t available = frame.header_bytes().size();
  if (!request.tcp || request.segment_size == 0 || request.header_length == 0 ||
      request.header_length > kMaxHeaderLength || request.header_length > frame.length) {
    return false;
  }
  const std::size_t ip_header = request.ipv4 ? kMinIpv4Header : kIpv6Header;
  if (request.ip_start + ip_header > request.tcp_start || request.tcp_start + kMinTcpHeader > available ||
      request.tcp_offset + 2u > available || request.header_length < request.tcp_start + kMinTcpHeader) {
    return false;
  }
  const std::size_t ip_bytes = frame.length - request.ip_start;
  const std::size_t tcp_bytes = frame.length - request.tcp_start;
  if (ip_bytes > 0xFFFF) return false;

  if (request.ipv4) {
    const std::size_t ip_header_bytes =
        (std::to_integer<std::size_t>(frame.header[request.ip_start]) & 0xF) * 4;
    if (ip_header_bytes < kMinIpv4Header || request.ip_start + ip_header_bytes > request.tcp_start)
      return false;
    put16(frame, request.ip_start + 2u, static_cast<std::uint16_t>(ip_bytes));
    put16(frame, request.ip_start + 10u, 0);
    put16(
        frame, request.ip_start + 10u,
        static_cast<std::uint16_t>(~sum_header(frame, request.ip_start, request.ip_start + ip_header_bytes)));
  } else {
    put16(frame, request.ip_start + 4u, static_cast<std::uint16_t>(ip_bytes - kIpv6Header));
  }
  if (!request_checksum(request.tcp_start, request.tcp_offset, 0, frame)) return false;
  put16(frame, request.tcp_offset,
        fold(std::uint32_t{get16(frame, request.tcp_offset)} + static_cast<std::uint32_t>(tcp_bytes)));

  if (frame.length - request.header_length > request.segment_size) {
    frame.offload.gso_type = request.ipv4 ? Offload::kGsoTcp4 : Offload::kGsoTcp6;
    frame.offload.gso_size = request.segment_size;
    frame.offload.header_length = request.header_length;
  }
  return true;
}

std::size_t insert_vlan_tag(std::uint16_t type, std::uint16_t tag, FrameView& frame,
                            std::span<std::byte, 4> displaced) noexcept {
  const std::size_t in_copy = frame.header_bytes().size();
  const std::size_t kept = std::min(in_copy, vswitch::kHeaderBytes - kVlanTag);
  const std::size_t moved_out = in_copy - kept;
  std::memcpy(displaced.data(), frame.header.data() + kept, moved_out);
  std::memmove(frame.header.data() + kMacAddresses + kVlanTag, frame.header.data() + kMacAddresses,
               kept - kMacAddresses);
  put16(frame, kMacAddresses, type);
  put16(frame, kMacAddresses + 2, tag);
  frame.length += kVlanTag;
  if ((frame.offload.flags & Offload::kNeedsChecksum) != 0) frame.offload.checksum_start += kVlanTag;
  if (frame.offload.header_length != 0) frame.offload.header_length += kVlanTag;
  return moved_out;
}

}  // namespace patchbay::devices::net::e1000
