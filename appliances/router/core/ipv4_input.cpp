#include "appliances/router/core/ipv4_input.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "appliances/router/core/arp.h"
#include "appliances/router/core/checksum.h"
#include "appliances/router/core/icmp_error.h"
#include "appliances/router/core/ipv4_forward.h"
#include "appliances/router/core/ipv4_local.h"
#include "appliances/router/core/ipv4_options.h"

namespace patchbay::router {
namespace {

constexpr auto kGood = static_cast<DropReason>(kDropReasons);

/// The checks of RFC 1812, 5.2.2, in its order, on the bytes behind the Ethernet header.
DropReason validate(std::span<const std::byte> bytes) noexcept {
  if (bytes.size() < kIpv4Bytes) return DropReason::ip_too_short;  // (1)
  const auto& header = view_as<Ipv4Header>(bytes.data());
  const std::size_t total = header.total_length;
  if (header.version_ihl == Ipv4Header::kPlain) [[likely]] {
    if (ones_complement_sum(bytes.first<kIpv4Bytes>()) != 0xFFFF) return DropReason::ip_bad_checksum;  // (2)
    if (total < kIpv4Bytes) return DropReason::ip_bad_total_length;                                    // (5)
  } else {
    const std::size_t header_bytes = header.header_bytes();
    const std::size_t summed = std::clamp(header_bytes, kIpv4Bytes, bytes.size());
    if (ones_complement_sum(bytes.first(summed)) != 0xFFFF) return DropReason::ip_bad_checksum;  // (2)
    if (header.version() != 4) return DropReason::ip_bad_version;                                // (3)
    if (header_bytes < kIpv4Bytes || header_bytes > bytes.size())
      return DropReason::ip_bad_header_length;                         // (4)
    if (total < header_bytes) return DropReason::ip_bad_total_length;  // (5)
  }
  return total > bytes.size() ? DropReason::ip_truncated : kGood;
}

/// RFC 1812, 5.3.7: addresses that must not be on a wire. RFC 1122, 3.2.1.3.
DropReason check_addresses(const Interface& ingress, const Ipv4Header& header) noexcept {
  const Ipv4Address source = header.source.address();
  const Ipv4Address destination = header.destination.address();
  if (source.is_this_network() || source.is_loopback() || source.is_multicast() || source.is_class_e()) {
    return DropReason::martian_source;
  }
  for (const auto& own : ingress.addresses()) {
    if (!own.contains(source)) continue;
    if (source == own.address) return DropReason::own_source;
    if (ingress.is_broadcast(source)) return DropReason::martian_source;
  }
  if (destination.is_this_network() || destination.is_loopback()) return DropReason::martian_destination;
  if (destination.is_multicast()) return DropReason::multicast;
  if (destination.is_limited_broadcast()) return DropReason::limited_broadcast;
  if (destination.is_class_e()) return DropReason::martian_destination;
  return kGood;
}

/// Everything up to the look-up. True if the packet is good; otherwise it has been dealt with.
bool accept(Plane& plane, PacketBuffer& packet) noexcept {
  Interface& ingress = plane.interface(packet.ingress);
  ++ingress.counters.rx_frames;
  ingress.counters.rx_bytes += packet.length;
  const auto reject = [&](DropReason reason) {
    plane.drop(packet, reason);
    return false;
  };
  if (packet.length < kEthernetBytes) return reject(DropReason::frame_too_short);
  if (!ingress.up()) return reject(DropReason::interface_down);
  const auto& ethernet = view_as<EthernetHeader>(packet.data());
  const bool for_group = ethernet.destination.is_group();
  if (!for_group && ethernet.destination != ingress.mac) return reject(DropReason::not_our_mac);
  if (ethernet.source.is_group() || ethernet.source.is_zero()) return reject(DropReason::bad_source_mac);
  const std::uint16_t type = ethernet.type;
  if (type != kEtherTypeIpv4) {
    if (type != kEtherTypeArp) return reject(DropReason::unknown_ethertype);
    arp_input(plane, packet);
    return false;
  }
  if (ingress.address_count == 0) return reject(DropReason::no_address);
  if (const auto reason = validate(packet.bytes().subspan(kEthernetBytes)); reason != kGood) [[unlikely]] {
    return reject(reason);
  }
  const auto& header = ipv4_of(packet);
  packet.length = static_cast<std::uint32_t>(kEthernetBytes + header.total_length);  // trims Ethernet padding
  if (const auto reason = check_addresses(ingress, header); reason != kGood) [[unlikely]]
    return reject(reason);
  // RFC 1812, 5.3.4: what came as a link-layer broadcast is not forwarded; RFC 1122, 3.3.6: nor taken.
  if (for_group) [[unlikely]]
    return reject(DropReason::link_broadcast);
  if (header.has_options()) [[unlikely]] {
    const OptionsCheck check = check_options(header);
    if (check.result == OptionsCheck::Result::malformed) {
      send_icmp_error(plane, packet, IcmpType::parameter_problem, icmp_code::kPointerIndicatesError,
                      static_cast<std::uint32_t>(check.pointer) << 24);
      return reject(DropReason::ip_bad_options);
    }
    if (check.result == OptionsCheck::Result::source_route) {
      send_icmp_error(plane, packet, IcmpType::destination_unreachable, icmp_code::kSourceRouteFailed);
      return reject(DropReason::source_routed);
    }
  }
  return true;
}

void dispatch(Plane& plane, PacketBuffer& packet, Fib::Value route) noexcept {
  if (route == Fib::kNoMatch) {
    send_icmp_error(plane, packet, IcmpType::destination_unreachable, icmp_code::kNetUnreachable);
    return plane.drop(packet, DropReason::no_route);
  }
  NextHop& next_hop = plane.routes.next_hop(route);
  switch (next_hop.kind) {
    case NextHop::Kind::attached:
    case NextHop::Kind::gateway:
      return ipv4_forward(plane, packet, next_hop);
    case NextHop::Kind::local:
      return ipv4_local_input(plane, packet);
    case NextHop::Kind::broadcast:
      // RFC 2644: directed broadcasts are neither forwarded nor answered.
      return plane.drop(packet, DropReason::directed_broadcast);
    case NextHop::Kind::blackhole:
      return plane.drop(packet, DropReason::blackhole);
    case NextHop::Kind::reject:
      send_icmp_error(plane, packet, IcmpType::destination_unreachable, icmp_code::kProhibited);
      return plane.drop(packet, DropReason::prohibited);
  }
}

}  // namespace

void input_burst(Plane& plane, std::span<PacketBuffer* const> packets) noexcept {
  plane.counters.received += packets.size();
  for (const auto* packet : packets)
    __builtin_prefetch(packet->data());

  std::array<PacketBuffer*, kBurstPackets> accepted;
  std::array<Ipv4Address, kBurstPackets> destinations;
  std::array<Fib::Value, kBurstPackets> routes;
  std::size_t count = 0;
  for (auto* packet : packets) {
    if (!accept(plane, *packet)) continue;
    accepted[count] = packet;
    destinations[count++] = ipv4_of(*packet).destination.address();
  }
  plane.routes.fib().lookup(std::span(destinations).first(count), std::span(routes).first(count));
  for (std::size_t i = 0; i < count; ++i)
    dispatch(plane, *accepted[i], routes[i]);
}

}  // namespace patchbay::router
