// ARP packets for IPv4 over Ethernet (RFC 826) and the protocol on top of the neighbour table.
#pragma once

#include "appliances/router/core/ethernet.h"
#include "appliances/router/core/plane.h"
#include "appliances/router/core/wire.h"

namespace patchbay::router {

struct ArpPacket {
  static constexpr std::uint16_t kHardwareEthernet = 1;
  static constexpr std::uint16_t kRequest = 1;
  static constexpr std::uint16_t kReply = 2;

  BigEndian16 hardware_type;
  BigEndian16 protocol_type;
  std::uint8_t hardware_length;
  std::uint8_t protocol_length;
  BigEndian16 operation;
  MacAddress sender_mac;
  BigEndian32 sender_address;
  MacAddress target_mac;
  BigEndian32 target_address;
};
static_assert(sizeof(ArpPacket) == 28 && alignof(ArpPacket) == 1);

namespace arp {
inline constexpr Nanoseconds kRequestInterval = kSecond;  // RFC 1122, 2.3.2.1: at most one a second
inline constexpr unsigned kMaxRequests = 3;
inline constexpr Nanoseconds kReachableTime = 30 * kSecond;
inline constexpr Nanoseconds kStaleTime = 300 * kSecond;  // unused entries go away
inline constexpr Nanoseconds kFailedTime = 5 * kSecond;
inline constexpr std::uint32_t kMaxHeldPerNeighbor = 8;  // the newest ones (RFC 1122, 2.3.2.2)
inline constexpr std::uint64_t kMaxHeld = 256;           // in all
}  // namespace arp

/// Takes a received frame with EtherType ARP.
void arp_input(Plane& plane, PacketBuffer& packet) noexcept;

/// Sends an IPv4 frame, complete but for its Ethernet header, to a neighbour whose MAC address is not known
/// or not fresh: asks for it, and holds the packet if need be.
void arp_resolve_and_send(Plane& plane, PacketBuffer& packet, InterfaceId interface,
                          Ipv4Address next_hop) noexcept;

/// Retries, ages and gives up; sets Plane::neighbor_deadline.
void arp_poll(Plane& plane) noexcept;

/// Tells the neighbours on an interface that an address is ours (RFC 5227, 2.3).
void arp_announce(Plane& plane, InterfaceId interface, Ipv4Address address) noexcept;

/// Forgets the neighbours on an interface; all of them, or those whose address is not on-link any more.
void arp_forget(Plane& plane, InterfaceId interface, bool all) noexcept;

}  // namespace patchbay::router
