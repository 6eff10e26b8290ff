// Forwarding one packet (RFC 1812, 5.2.3 and 5.3).
#pragma once

#include "appliances/router/core/plane.h"

namespace patchbay::router {

/// Takes a validated packet that is not for the router; `next_hop` is of kind attached or gateway.
void ipv4_forward(Plane& plane, PacketBuffer& packet, NextHop& next_hop) noexcept;

}  // namespace patchbay::router
