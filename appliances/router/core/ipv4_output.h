// The last steps of an IPv4 packet: towards a neighbour, in pieces if it must be, or on its way from the
// router itself.
#pragma once

#include <cstring>

#include "appliances/router/core/arp.h"
#include "appliances/router/core/plane.h"

namespace patchbay::router {

/// Sends a packet, which fits the MTU and is complete but for the Ethernet header, to a neighbour.
inline void send_to_neighbor(Plane& plane, PacketBuffer& packet, NextHop& next_hop,
                             Ipv4Address destination) noexcept {
  Neighbor* neighbor =
      next_hop.kind == NextHop::Kind::gateway
          ? plane.neighbors.find(next_hop.interface, next_hop.gateway, next_hop.neighbor_hint)
          : plane.neighbors.find(next_hop.interface, destination);
  if (neighbor != nullptr && neighbor->usable()) [[likely]] {
    std::memcpy(packet.data(), neighbor->header.data(), kEthernetBytes);
    if (packet.ingress != kNoInterface) ++plane.counters.forwarded;
    plane.transmitter.send(next_hop.interface, packet);
    return;
  }
  const bool gateway = next_hop.kind == NextHop::Kind::gateway;
  arp_resolve_and_send(plane, packet, next_hop.interface, gateway ? next_hop.gateway : destination);
}

enum class OriginateResult { sent, no_route, unusable_route };

/// Sends an IPv4 packet that the router made (counted as originated here): fills in the source address if it
/// is zero, identification and header checksum, finds the way, fragments if need be. Takes the packet in any
/// case.
OriginateResult ipv4_originate(Plane& plane, PacketBuffer& packet) noexcept;

/// The address from which the router talks to `destination` by this next hop: one of the outgoing interface
/// (RFC 1812, 4.3.2.4), in the neighbour's network if there is one. Zero if the router has no address at all.
[[nodiscard]] Ipv4Address source_address_for(Plane& plane, const NextHop& next_hop,
                                             Ipv4Address destination) noexcept;

/// Sends a packet that is longer than the interface's MTU in fragments (RFC 791, 3.2). DF is not set.
void send_fragments(Plane& plane, PacketBuffer& packet, NextHop& next_hop) noexcept;

}  // namespace patchbay::router
