#include "appliances/router/core/ipv4_local.h"

#include "appliances/router/core/checksum.h"
#include "appliances/router/core/icmp_error.h"
#include "appliances/router/core/ipv4_options.h"
#include "appliances/router/core/ipv4_output.h"

namespace patchbay::router {
namespace {

/// Turns the request into the reply, in the same buffer (RFC 1122, 3.2.2.6: the data comes back unchanged,
/// the reply's source is the request's destination).
void answer_echo(Plane& plane, PacketBuffer& packet) noexcept {
  auto& header = ipv4_of(packet);
  const Ipv4Address us = header.destination.address();
  if (header.has_options()) fill_in_options(header, us, plane.now);
  header.destination = header.source.address();
  header.source = us;
  header.ttl = kDefaultTtl;
  header.flags_offset = static_cast<std::uint16_t>(header.flags_offset & Ipv4Header::kDontFragment);
  auto& echo = view_as<IcmpEcho>(ipv4_payload(packet).data());
  const auto before = static_cast<std::uint16_t>(echo.type << 8 | echo.code);
  echo.type = static_cast<std::uint8_t>(IcmpType::echo_reply);
  echo.checksum = update_checksum(echo.checksum, before, echo.code);
  if (echo.checksum == 0) {
    // The update cannot tell a sum of 0xFFFF from that of a message which is zero throughout (RFC 1624, 3).
    echo.checksum = internet_checksum(ipv4_payload(packet));
  }
  ++plane.counters.consumed;
  ipv4_originate(plane, packet);
}

/// Hands an ICMP error to whoever sent the packet it is about.
bool deliver_error(Plane& plane, const Ipv4Header& header, std::span<const std::byte> message) noexcept {
  if (plane.icmp_listener == nullptr) return false;
  const auto quote = message.subspan(kIcmpBytes);
  if (quote.size() < kIpv4Bytes) return false;
  const auto& quoted = view_as<Ipv4Header>(quote.data());
  const std::size_t header_bytes = quoted.header_bytes();
  if (quoted.version() != 4 || header_bytes < kIpv4Bytes || quote.size() < header_bytes + 8) return false;
  return plane.icmp_listener->on_error(header, view_as<IcmpHeader>(message.data()), quoted,
                                       quote.subspan(header_bytes), plane.now);
}

void icmp_input(Plane& plane, PacketBuffer& packet) noexcept {
  const auto message = ipv4_payload(packet);
  if (message.size() < kIcmpBytes || ones_complement_sum(message) != 0xFFFF) {
    return plane.drop(packet, DropReason::bad_icmp);
  }
  bool used = false;
  const auto& header = ipv4_of(packet);
  switch (static_cast<IcmpType>(message[0])) {
    case IcmpType::echo_request:
      return answer_echo(plane, packet);
    case IcmpType::echo_reply:
      used = plane.icmp_listener != nullptr && plane.icmp_listener->on_echo_reply(header, message, plane.now);
      break;
    case IcmpType::destination_unreachable:
    case IcmpType::time_exceeded:
    case IcmpType::parameter_problem:
      used = deliver_error(plane, header, message);
      break;
    case IcmpType::redirect:  // RFC 1812, 5.2.7.2: routers ignore redirects
      break;
  }
  if (used) return plane.transmitter.consume(packet);
  plane.drop(packet, DropReason::unhandled_icmp);
}

}  // namespace

void ipv4_local_input(Plane& plane, PacketBuffer& packet) noexcept {
  const auto& header = ipv4_of(packet);
  if (header.is_fragment()) return plane.drop(packet, DropReason::fragment_for_us);
  if (header.is(IpProtocol::icmp)) return icmp_input(plane, packet);
  // RFC 1812, 5.2.7.1: no such port, no such protocol.
  const std::uint8_t code =
      header.is(IpProtocol::udp) ? icmp_code::kPortUnreachable : icmp_code::kProtocolUnreachable;
  send_icmp_error(plane, packet, IcmpType::destination_unreachable, code);
  plane.drop(packet, DropReason::no_service);
}

}  // namespace patchbay::router
