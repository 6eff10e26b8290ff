// What it takes to cut one large frame into the frames that a wire carries: where its headers are and how
// many segments it makes. Everything is read from the switch's own copy of the header and nothing of the
// sender's metadata is believed: the segmentation type and checksum place have to agree with the packet.
//
// Segmented are TCP over IPv4 and IPv6 (Virtio 1.2, 5.1.6.2: GSO_TCPV4, GSO_TCPV6) and UDP datagram trains
// (GSO_UDP_L4), behind at most two VLAN tags and IPv6 extension headers but routing headers. UDP
// fragmentation (GSO_UDP) is never offered by the ports of this switch, so a frame that asks for it is a lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "vswitch/frame.h"

namespace patchbay::vswitch::offload {

/// Segments of one frame at most: 64 KiB in pieces of 32 bytes, less than any sane MSS. Bounds the work that
/// one frame can ask for.
inline constexpr std::uint32_t kMaxSegments = 2048;

// Of a packet's headers, bytes (RFC 8200, 9293, 768).
inline constexpr std::size_t kIpv6Header = 40;
inline constexpr std::uint16_t kTcpChecksum = 16;  // the field's place in the header
inline constexpr std::uint16_t kUdpChecksum = 6;

struct SegmentationPlan {
  std::uint16_t network = 0;        // offset of the IP header, bytes
  std::uint16_t transport = 0;      // offset of the TCP or UDP header
  std::uint16_t header_bytes = 0;   // repeated in each segment; within the header copy
  std::uint16_t segment_bytes = 0;  // payload of each segment but the last
  std::uint32_t payload_bytes = 0;
  std::uint32_t segments = 0;  // >= 1
  bool ipv6 = false;
  bool udp = false;
  std::uint64_t pseudo_sum = 0;  // of the pseudo-header, in memory order, without the length
};

/// The plan for a frame with a gso_type, or nothing if the request contradicts the frame.
[[nodiscard]] std::optional<SegmentationPlan> plan_segmentation(const FrameView& frame) noexcept;

/// True if the switch can do what the metadata ask for. The field of a checksum has to lie in the header
/// copy.
[[nodiscard]] bool is_valid(const FrameView& frame) noexcept;

/// Frames that a wire carries for this one; precondition: is_valid().
[[nodiscard]] std::uint32_t wire_frames(const FrameView& frame) noexcept;

}  // namespace patchbay::vswitch::offload
