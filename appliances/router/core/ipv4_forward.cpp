#include "appliances/router/core/ipv4_forward.h"

#include "appliances/router/core/checksum.h"
#include "appliances/router/core/icmp_error.h"
#include "appliances/router/core/ipv4_options.h"
#include "appliances/router/core/ipv4_output.h"

namespace patchbay::router {
namespace {

/// RFC 1624: only the word that holds TTL and protocol changes.
void decrement_ttl(Ipv4Header& header) noexcept {
  const auto before = static_cast<std::uint16_t>(header.ttl << 8 | header.protocol);
  --header.ttl;
  const auto after = static_cast<std::uint16_t>(before - 0x100U);
  header.checksum = update_checksum(header.checksum, before, after);
}

/// RFC 1812, 5.2.7.2: the packet leaves where it came from, and its sender could have sent it to the next hop
/// itself. The packet is forwarded all the same.
void send_redirect(Plane& plane, const PacketBuffer& packet, const Ipv4Header& header,
                   const NextHop& next_hop) noexcept {
  const Interface& interface = plane.interface(packet.ingress);
  const Ipv4Prefix* network = interface.connected(header.source.address());
  if (network == nullptr) return;
  const bool gateway = next_hop.kind == NextHop::Kind::gateway;
  const Ipv4Address better = gateway ? next_hop.gateway : header.destination.address();
  if (!network->contains(better)) return;
  send_icmp_error(plane, packet, IcmpType::redirect, icmp_code::kRedirectHost, better.value);
}

}  // namespace

void ipv4_forward(Plane& plane, PacketBuffer& packet, NextHop& next_hop) noexcept {
  auto& header = ipv4_of(packet);
  const Ipv4Address destination = header.destination.address();
  // RFC 1812, 5.3.1: tested after the decision that the packet is not for us.
  if (header.ttl <= 1) [[unlikely]] {
    send_icmp_error(plane, packet, IcmpType::time_exceeded, icmp_code::kTtlExceeded);
    return plane.drop(packet, DropReason::ttl_expired);
  }
  const std::size_t mtu = plane.interface(next_hop.interface).mtu;
  const bool too_big = header.total_length > mtu;
  if (too_big && header.dont_fragment()) [[unlikely]] {
    // RFC 1191, 4: the next hop's MTU in the low 16 bits.
    send_icmp_error(plane, packet, IcmpType::destination_unreachable, icmp_code::kFragmentationNeeded,
                    static_cast<std::uint32_t>(mtu));
    return plane.drop(packet, DropReason::too_big);
  }
  if (next_hop.interface == packet.ingress) [[unlikely]]
    send_redirect(plane, packet, header, next_hop);
  decrement_ttl(header);
  if (header.has_options()) [[unlikely]] {
    fill_in_options(header, source_address_for(plane, next_hop, destination), plane.now);
  }
  if (too_big) [[unlikely]]
    return send_fragments(plane, packet, next_hop);
  send_to_neighbor(plane, packet, next_hop, destination);
}

}  // namespace patchbay::router
