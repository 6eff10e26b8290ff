#include "appliances/router/core/console/echo_probe.h"

#include "appliances/router/core/checksum.h"

namespace patchbay::router {

void EchoProbe::start(Ipv4Address destination, std::size_t data_bytes) noexcept {
  destination_ = destination;
  data_bytes_ = data_bytes;
  sequence_ = 0;
  outstanding_ = false;
  ++identifier_;
}

EchoProbe::Sent EchoProbe::send(Plane& plane, std::uint8_t ttl) noexcept {
  outstanding_ = false;
  ++sequence_;
  sent_at_ = plane.now;
  PacketBuffer* packet = plane.transmitter.allocate(kEthernetBytes + kIpv4Bytes + kIcmpBytes + data_bytes_);
  if (packet == nullptr) return Sent::no_buffer;
  auto& header = ipv4_of(*packet);
  header.version_ihl = Ipv4Header::kPlain;
  header.tos = 0;
  header.total_length = static_cast<std::uint16_t>(kIpv4Bytes + kIcmpBytes + data_bytes_);
  header.flags_offset = 0;
  header.ttl = ttl;
  header.protocol = static_cast<std::uint8_t>(IpProtocol::icmp);
  header.source = Ipv4Address{};
  header.destination = destination_;

  const auto message = ipv4_payload(*packet);
  auto& echo = view_as<IcmpEcho>(message.data());
  echo.type = static_cast<std::uint8_t>(IcmpType::echo_request);
  echo.code = 0;
  echo.checksum = 0;
  echo.identifier = identifier_;
  echo.sequence = sequence_;
  for (std::size_t i = kIcmpBytes; i < message.size(); ++i)
    message[i] = static_cast<std::byte>(i & 0xFFU);
  echo.checksum = internet_checksum(message);

  outstanding_ = true;
  if (ipv4_originate(plane, *packet) == OriginateResult::sent) return Sent::yes;
  outstanding_ = false;
  return Sent::no_route;
}

bool EchoProbe::is_answer(std::span<const std::byte> message) const noexcept {
  const auto& echo = view_as<IcmpEcho>(message.data());
  return outstanding_ && echo.identifier == identifier_ && echo.sequence == sequence_ &&
         message.size() == kIcmpBytes + data_bytes_;
}

bool EchoProbe::is_quoted(const Ipv4Header& quoted, std::span<const std::byte> payload) const noexcept {
  if (!outstanding_ || !quoted.is(IpProtocol::icmp) || quoted.destination.address() != destination_)
    return false;
  const auto& echo = view_as<IcmpEcho>(payload.data());
  return echo.type == static_cast<std::uint8_t>(IcmpType::echo_request) && echo.identifier == identifier_ &&
         echo.sequence == sequence_;
}

}  // namespace patchbay::router
