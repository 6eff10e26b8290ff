// The state of the forwarding path, which its parts share: arp.cpp, ipv4_input.cpp, ipv4_forward.cpp,
// ipv4_output.cpp, ipv4_local.cpp, icmp_error.cpp. Plain data; the functions that work on it are theirs.
#pragma once

#include <cstdint>
#include <span>

#include "appliances/router/core/counters.h"
#include "appliances/router/core/environment.h"
#include "appliances/router/core/icmp.h"
#include "appliances/router/core/icmp_limiter.h"
#include "appliances/router/core/interface.h"
#include "appliances/router/core/ipv4_header.h"
#include "appliances/router/core/neighbor.h"
#include "appliances/router/core/route_table.h"
#include "appliances/router/core/transmitter.h"

namespace patchbay::router {

/// Hears of ICMP messages that may concern packets the router itself has sent: a running ping.
class IcmpListener {
 public:
  /// `message` is a validated ICMP message of type echo reply, from `source`. True if it was ours.
  virtual bool on_echo_reply(const Ipv4Header& header, std::span<const std::byte> message,
                             Nanoseconds now) = 0;
  /// An ICMP error from `reporter` about a packet of ours: `quoted` is that packet's header and the first
  /// bytes behind it, at least 8. True if it was about something of ours.
  virtual bool on_error(const Ipv4Header& header, const IcmpHeader& error, const Ipv4Header& quoted,
                        std::span<const std::byte> quoted_payload, Nanoseconds now) = 0;

 protected:
  ~IcmpListener() = default;
};

struct Plane {
  std::span<Interface> interfaces;
  RouterCounters counters;
  Transmitter transmitter;
  NeighborTable neighbors;
  RouteTable routes;
  IcmpLimiter icmp_limiter;
  IcmpListener* icmp_listener = nullptr;
  Nanoseconds now = 0;  // of the current call
  Nanoseconds neighbor_deadline = kNever;
  std::uint16_t next_identification = 1;

  [[nodiscard]] Interface& interface(InterfaceId id) noexcept { return interfaces[id]; }
  void drop(PacketBuffer& packet, DropReason reason) noexcept { transmitter.drop(packet, reason); }
};

}  // namespace patchbay::router
