#include "appliances/router/core/icmp_error.h"

#include <algorithm>
#include <cstring>

#include "appliances/router/core/checksum.h"
#include "appliances/router/core/ipv4_output.h"

namespace patchbay::router {
namespace {

/// RFC 1812, 4.3.2.7: packets that must not be answered with an error.
bool may_be_answered(Plane& plane, const PacketBuffer& packet) noexcept {
  if (packet.ingress == kNoInterface) return false;  // our own
  const auto& ethernet = view_as<EthernetHeader>(packet.data());
  const auto& header = view_as<Ipv4Header>(packet.data() + kEthernetBytes);
  const Interface& ingress = plane.interface(packet.ingress);
  // Sent as a link-layer broadcast or multicast.
  if (ethernet.destination.is_group()) return false;
  // To a broadcast or multicast address.
  const Ipv4Address destination = header.destination.address();
  if (destination.is_multicast() || destination.is_class_e() || ingress.is_broadcast(destination))
    return false;
  // A source that is no single host.
  const Ipv4Address source = header.source.address();
  if (source.is_this_network() || source.is_loopback() || source.is_multicast() || source.is_class_e() ||
      ingress.is_broadcast(source)) {
    return false;
  }
  // Any fragment but the first.
  if (header.fragment_offset() != 0) return false;
  // An ICMP error, or too little of a message to tell.
  if (header.is(IpProtocol::icmp)) {
    const std::size_t type_at = kEthernetBytes + header.header_bytes();
    if (packet.length <= type_at) return false;
    if (is_icmp_error(static_cast<std::uint8_t>(packet.data()[type_at]))) return false;
  }
  return true;
}

}  // namespace

void send_icmp_error(Plane& plane, const PacketBuffer& packet, IcmpType type, std::uint8_t code,
                     std::uint32_t rest) noexcept {
  if (!may_be_answered(plane, packet)) return;
  const auto& offending = view_as<Ipv4Header>(packet.data() + kEthernetBytes);
  if (!plane.icmp_limiter.allow(offending.source.address(), plane.now)) {
    ++plane.counters.icmp_suppressed;
    return;
  }
  const std::size_t quoted =
      std::min<std::size_t>(packet.length - kEthernetBytes, kMaxIcmpErrorBytes - kIpv4Bytes - kIcmpBytes);
  PacketBuffer* error = plane.transmitter.allocate(kEthernetBytes + kIpv4Bytes + kIcmpBytes + quoted);
  if (error == nullptr) return;

  auto& header = ipv4_of(*error);
  header.version_ihl = Ipv4Header::kPlain;
  header.tos = kTosInternetworkControl;
  header.total_length = static_cast<std::uint16_t>(kIpv4Bytes + kIcmpBytes + quoted);
  header.flags_offset = 0;
  header.ttl = kDefaultTtl;
  header.protocol = static_cast<std::uint8_t>(IpProtocol::icmp);
  header.source = Ipv4Address{};
  header.destination = offending.source.address();

  const auto message = ipv4_payload(*error);
  auto& icmp = view_as<IcmpHeader>(message.data());
  icmp.type = static_cast<std::uint8_t>(type);
  icmp.code = code;
  icmp.checksum = 0;
  icmp.rest = rest;
  std::memcpy(message.data() + kIcmpBytes, &offending, quoted);
  icmp.checksum = internet_checksum(message);

  ++plane.counters.icmp_errors;
  ipv4_originate(plane, *error);
}

}  // namespace patchbay::router
