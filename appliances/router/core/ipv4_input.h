// From the wire to the forwarding decision: Ethernet checks, IPv4 validation, route look-up, for a burst at a
// time.
#pragma once

#include <span>

#include "appliances/router/core/plane.h"

namespace patchbay::router {

/// Takes up to kBurstPackets received frames whose ingress is a valid interface.
void input_burst(Plane& plane, std::span<PacketBuffer* const> packets) noexcept;

}  // namespace patchbay::router
