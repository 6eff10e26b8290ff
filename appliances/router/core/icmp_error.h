// ICMP errors about packets that could not be delivered (RFC 792; RFC 1812, 4.3).
#pragma once

#include <cstdint>

#include "appliances/router/core/plane.h"

namespace patchbay::router {

/// Quoted packets make ICMP errors of up to this many bytes (RFC 1812, 4.3.2.3).
inline constexpr std::size_t kMaxIcmpErrorBytes = 576;

/// Tells the sender of `packet`, a received frame with a valid IPv4 header, about an error: unless it is a
/// packet about which none may be told (RFC 1812, 4.3.2.7) or too many have been. `packet` stays with the
/// caller. `rest` is the second word of the ICMP header: next-hop MTU, gateway address or pointer << 24.
void send_icmp_error(Plane& plane, const PacketBuffer& packet, IcmpType type, std::uint8_t code,
                     std::uint32_t rest = 0) noexcept;

}  // namespace patchbay::router
