#include "appliances/router/core/ipv4_output.h"

#include "appliances/router/core/checksum.h"
#include "appliances/router/core/ipv4_local.h"

namespace patchbay::router {

Ipv4Address source_address_for(Plane& plane, const NextHop& next_hop, Ipv4Address destination) noexcept {
  if (next_hop.kind == NextHop::Kind::local) return destination;
  const Interface& egress = plane.interface(next_hop.interface);
  const Ipv4Address neighbor = next_hop.kind == NextHop::Kind::gateway ? next_hop.gateway : destination;
  if (const Ipv4Prefix* own = egress.connected(neighbor)) return own->address;
  if (egress.address_count != 0) return egress.address_list[0].address;
  for (const auto& interface : plane.interfaces) {
    if (interface.address_count != 0) return interface.address_list[0].address;
  }
  return {};
}

OriginateResult ipv4_originate(Plane& plane, PacketBuffer& packet) noexcept {
  ++plane.counters.originated;
  packet.ingress = kNoInterface;
  auto& header = ipv4_of(packet);
  const Ipv4Address destination = header.destination.address();
  NextHop* next_hop = plane.routes.lookup(destination);
  if (next_hop == nullptr) {
    plane.drop(packet, DropReason::no_route);
    return OriginateResult::no_route;
  }
  switch (next_hop->kind) {
    case NextHop::Kind::blackhole:
      plane.drop(packet, DropReason::blackhole);
      return OriginateResult::unusable_route;
    case NextHop::Kind::reject:
      plane.drop(packet, DropReason::prohibited);
      return OriginateResult::unusable_route;
    case NextHop::Kind::broadcast:
      plane.drop(packet, DropReason::directed_broadcast);
      return OriginateResult::unusable_route;
    case NextHop::Kind::local:
    case NextHop::Kind::attached:
    case NextHop::Kind::gateway:
      break;
  }
  if (header.source.address().is_zero()) header.source = source_address_for(plane, *next_hop, destination);
  header.identification = plane.next_identification++;
  header.checksum = 0;
  header.checksum = internet_checksum(packet.bytes().subspan(kEthernetBytes, header.header_bytes()));
  if (next_hop->kind == NextHop::Kind::local) {
    ipv4_local_input(plane, packet);
  } else if (header.total_length > plane.interface(next_hop->interface).mtu) {
    send_fragments(plane, packet, *next_hop);
  } else {
    send_to_neighbor(plane, packet, *next_hop, destination);
  }
  return OriginateResult::sent;
}

}  // namespace patchbay::router
