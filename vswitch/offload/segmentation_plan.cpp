#include "vswitch/offload/segmentation_plan.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <span>

#include "vswitch/offload/internet_checksum.h"

namespace patchbay::vswitch::offload {
namespace {

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::size_t kMacAddresses = 12;
constexpr std::size_t kIpv4Header = 20;
constexpr std::size_t kTcpHeader = 20;
constexpr std::size_t kUdpHeader = 8;

/// A cursor over the header copy that never leaves it.
class Header {
 public:
  explicit Header(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}
  [[nodiscard]] bool holds(std::size_t offset, std::size_t size) const noexcept {
    return offset <= bytes_.size() && size <= bytes_.size() - offset;
  }
  /// Precondition of these: holds().
  [[nodiscard]] std::uint8_t u8(std::size_t at) const noexcept {
    return std::to_integer<std::uint8_t>(bytes_[at]);
  }
  [[nodiscard]] std::uint16_t u16(std::size_t at) const noexcept {
    return static_cast<std::uint16_t>(u8(at) << 8 | u8(at + 1));
  }
  [[nodiscard]] std::span<const std::byte> part(std::size_t at, std::size_t size) const noexcept {
    return bytes_.subspan(at, size);
  }

 private:
  std::span<const std::byte> bytes_;
};

/// Offset of the network header and its EtherType, behind at most two tags (IEEE 802.1Q, 9.6).
struct Network {
  std::size_t offset;
  std::uint16_t type;
};

std::optional<Network> find_network(const Header& header) noexcept {
  std::size_t at = kMacAddresses;
  for (int tags = 0; header.holds(at, 2); ++tags) {
    const std::uint16_t type = header.u16(at);
    if (type != 0x8100 && type != 0x88A8) return Network{at + 2, type};
    if (tags == 2) return std::nullopt;
    at += 4;
  }
  return std::nullopt;
}

/// Walks IPv6 extension headers (RFC 8200, 4) from the fixed header to `transport`; the protocol found there.
std::optional<std::uint8_t> walk_extensions(const Header& header, std::size_t network,
                                            std::size_t transport) noexcept {
  constexpr std::uint8_t kHopByHop = 0;
  constexpr std::uint8_t kDestinationOptions = 60;
  std::uint8_t next = header.u8(network + 6);
  std::size_t at = network + kIpv6Header;
  while (at < transport) {
    // A routing header changes the destination that the pseudo-header is made of, a fragment has no whole
    // datagram: neither comes with segmentation.
    if ((next != kHopByHop && next != kDestinationOptions) || !header.holds(at, 2)) return std::nullopt;
    next = header.u8(at);
    at += (header.u8(at + 1) + std::size_t{1}) * 8;
  }
  if (at != transport) return std::nullopt;
  return next;
}

}  // namespace

std::optional<SegmentationPlan> plan_segmentation(const FrameView& frame) noexcept {
  const Offload& offload = frame.offload;
  if ((offload.flags & Offload::kNeedsChecksum) == 0 || offload.gso_size == 0) return std::nullopt;
  const Header header(frame.header_bytes());
  const std::uint8_t type = offload.gso_type & static_cast<std::uint8_t>(~Offload::kGsoEcn);
  const bool udp = type == Offload::kGsoUdpL4;
  if (!udp && type != Offload::kGsoTcp4 && type != Offload::kGsoTcp6) return std::nullopt;
  if (udp && type != offload.gso_type) return std::nullopt;  // ECN belongs to TCP
  if (offload.checksum_offset != (udp ? kUdpChecksum : kTcpChecksum)) return std::nullopt;

  const auto network = find_network(header);
  if (!network) return std::nullopt;
  const std::size_t transport = offload.checksum_start;
  SegmentationPlan plan;
  plan.ipv6 = network->type == 0x86DD;
  plan.udp = udp;
  if (!plan.ipv6 && network->type != 0x0800) return std::nullopt;
  if (!udp && plan.ipv6 != (type == Offload::kGsoTcp6)) return std::nullopt;

  std::uint8_t protocol = 0;
  InternetSum pseudo;
  if (plan.ipv6) {
    if (!header.holds(network->offset, kIpv6Header) || header.u8(network->offset) >> 4 != 6)
      return std::nullopt;
    if (transport < network->offset + kIpv6Header) return std::nullopt;
    const auto found = walk_extensions(header, network->offset, transport);
    if (!found) return std::nullopt;
    protocol = *found;
    pseudo.add(header.part(network->offset + 8, 32));
  } else {
    if (!header.holds(network->offset, kIpv4Header)) return std::nullopt;
    const std::uint8_t version_ihl = header.u8(network->offset);
    const std::size_t ip_bytes = (version_ihl & 0xFU) * std::size_t{4};
    if (version_ihl >> 4 != 4 || ip_bytes < kIpv4Header || transport != network->offset + ip_bytes) {
      return std::nullopt;
    }
    constexpr std::uint16_t kMoreFragmentsOrOffset = 0x3FFF;
    if ((header.u16(network->offset + 6) & kMoreFragmentsOrOffset) != 0) return std::nullopt;
    protocol = header.u8(network->offset + 9);
    pseudo.add(header.part(network->offset + 12, 8));
  }
  if (protocol != (udp ? kUdp : kTcp)) return std::nullopt;
  pseudo.add_field(protocol);

  std::size_t transport_bytes = kUdpHeader;
  if (!udp) {
    if (!header.holds(transport, kTcpHeader)) return std::nullopt;
    transport_bytes = (header.u8(transport + 12) >> 4) * std::size_t{4};
    if (transport_bytes < kTcpHeader) return std::nullopt;
  }
  if (!header.holds(transport, transport_bytes)) return std::nullopt;

  plan.network = static_cast<std::uint16_t>(network->offset);
  plan.transport = static_cast<std::uint16_t>(transport);
  plan.header_bytes = static_cast<std::uint16_t>(transport + transport_bytes);
  plan.segment_bytes = offload.gso_size;
  plan.payload_bytes = frame.length - plan.header_bytes;
  plan.segments =
      std::max<std::uint32_t>(1, (plan.payload_bytes + plan.segment_bytes - 1) / plan.segment_bytes);
  plan.pseudo_sum = pseudo.folded();
  if (plan.segments > kMaxSegments) return std::nullopt;
  // The lengths of a segment are 16-bit fields; a segment as long as the frame may exceed them.
  const std::uint32_t longest =
      std::min<std::uint32_t>(plan.segment_bytes, plan.payload_bytes) + plan.header_bytes - plan.network;
  if (longest > 0xFFFF) return std::nullopt;
  return plan;
}

bool is_valid(const FrameView& frame) noexcept {
  const Offload& offload = frame.offload;
  if (offload.gso_type != Offload::kGsoNone) return plan_segmentation(frame).has_value();
  if ((offload.flags & Offload::kNeedsChecksum) == 0) return true;
  return std::uint32_t{offload.checksum_start} + offload.checksum_offset + sizeof(std::uint16_t) <=
         frame.header_bytes().size();
}

std::uint32_t wire_frames(const FrameView& frame) noexcept {
  if (frame.offload.gso_type == Offload::kGsoNone) return 1;
  const auto plan = plan_segmentation(frame);
  return plan ? plan->segments : 1;
}

}  // namespace patchbay::vswitch::offload
