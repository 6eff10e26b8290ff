// Why the router did not deliver a packet. Every packet that is dropped is counted under exactly one reason.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace patchbay::router {

enum class DropReason : std::uint8_t {
  // Ethernet
  frame_too_short,    // no room for the Ethernet header
  not_our_mac,        // addressed to another station
  bad_source_mac,     // a group address or zero as the sender
  unknown_ethertype,  // neither IPv4 nor ARP
  interface_down,     // received on, or routed to, an interface that is shut down or has no carrier
  no_address,         // IPv4 on an interface without an address
  // IPv4 header, RFC 1812, 5.2.2, in the order of the checks
  ip_too_short,  // less than 20 bytes
  ip_bad_checksum,
  ip_bad_version,
  ip_bad_header_length,  // IHL below 5 or beyond the packet
  ip_bad_total_length,   // less than the header
  ip_truncated,          // total length beyond the frame
  ip_bad_options,        // malformed options; the sender gets a Parameter Problem
  source_routed,         // RFC 7126, 4.3: source routing is refused
  // addresses, RFC 1812, 5.3.4 to 5.3.7
  martian_source,
  martian_destination,
  link_broadcast,      // a unicast packet in a broadcast or multicast frame
  own_source,          // from the network, with one of our own addresses as its source
  directed_broadcast,  // to the broadcast address of a connected network
  limited_broadcast,   // 255.255.255.255: nothing here listens
  multicast,           // no multicast routing
  // forwarding
  ttl_expired,
  no_route,
  blackhole,            // a static route to null0
  prohibited,           // a static route that rejects
  too_big,              // longer than the MTU, and DF is set
  neighbor_unresolved,  // no ARP reply
  neighbor_table_full,
  hold_queue_full,  // too many packets wait for ARP replies
  // for the router itself
  bad_icmp,               // short or wrong checksum
  unhandled_icmp,         // an ICMP type that needs no answer
  no_service,             // a protocol or port that nothing listens to
  fragment_for_us,        // could not be reassembled: overlapping, too long, too many, or timed out
  bad_arp,                // malformed or inconsistent ARP
  arp_not_for_us,         // requests and replies between other stations
  arp_off_link,           // the sender's address is not on the connected network
  arp_duplicate_address,  // another station claims our address
  // sending
  no_buffer,      // the driver had no buffer for a packet the router had to make
  transmit_full,  // the driver took no more frames
};
inline constexpr std::size_t kDropReasons = static_cast<std::size_t>(DropReason::transmit_full) + 1;

/// The name in listings, such as "ttl_expired".
constexpr std::string_view to_string(DropReason reason) noexcept {
  constexpr std::array<std::string_view, kDropReasons> names{"frame_too_short",
                                                             "not_our_mac",
                                                             "bad_source_mac",
                                                             "unknown_ethertype",
                                                             "interface_down",
                                                             "no_address",
                                                             "ip_too_short",
                                                             "ip_bad_checksum",
                                                             "ip_bad_version",
                                                             "ip_bad_header_length",
                                                             "ip_bad_total_length",
                                                             "ip_truncated",
                                                             "ip_bad_options",
                                                             "source_routed",
                                                             "martian_source",
                                                             "martian_destination",
                                                             "link_broadcast",
                                                             "own_source",
                                                             "directed_broadcast",
                                                             "limited_broadcast",
                                                             "multicast",
                                                             "ttl_expired",
                                                             "no_route",
                                                             "blackhole",
                                                             "prohibited",
                                                             "too_big",
                                                             "neighbor_unresolved",
                                                             "neighbor_table_full",
                                                             "hold_queue_full",
                                                             "bad_icmp",
                                                             "unhandled_icmp",
                                                             "no_service",
                                                             "fragment_for_us",
                                                             "bad_arp",
                                                             "arp_not_for_us",
                                                             "arp_off_link",
                                                             "arp_duplicate_address",
                                                             "no_buffer",
                                                             "transmit_full"};
  return names[static_cast<std::size_t>(reason)];
}

}  // namespace patchbay::router
