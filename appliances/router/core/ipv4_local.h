// Packets for the router itself: echo requests are answered, the rest is refused (RFC 1812, 4.3.3; RFC
// 1122, 3.2.2).
#pragma once

#include "appliances/router/core/plane.h"

namespace patchbay::router {

/// Takes a validated packet to one of the router's addresses.
void ipv4_local_input(Plane& plane, PacketBuffer& packet) noexcept;

}  // namespace patchbay::router
