// Why a frame was not delivered. Every frame that enters the switch and does not reach a destination is
// counted under exactly one of these.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace patchbay::vswitch {

enum class DropReason : unsigned char {
  malformed,           // the source described no valid frame: broken chain, bad lengths
  too_short,           // less than an Ethernet header
  too_long,            // longer than the port's MTU allows
  bad_offload,         // checksum or segmentation request that contradicts the frame
  bad_source_mac,      // the source address is a group address or zero
  reserved_multicast,  // 01:80:C2:00:00:0X on a bridge (IEEE 802.1Q, 8.6.3)
  no_destination,      // no other port on the segment
  same_port,           // the destination lies behind the port the frame came from
  filtered,            // the card's own address or VLAN filter does not take it
  link_down,           // the link was taken down
  not_ready,           // nobody reads at the destination: guest driver not up, peer gone
  no_room,             // the destination's ring or queue is full
  no_buffer,           // the switch itself has no buffer left
  impairment_loss,     // lost as the link's impairment wants it
  impairment_queue,    // the queue of the impaired link is full
};
inline constexpr std::size_t kDropReasons = static_cast<std::size_t>(DropReason::impairment_queue) + 1;

/// The name in listings and metrics, such as "no_room".
constexpr std::string_view to_string(DropReason reason) noexcept {
  constexpr std::array<std::string_view, kDropReasons> names{
      "malformed",          "too_short",      "too_long",  "bad_offload",     "bad_source_mac",
      "reserved_multicast", "no_destination", "same_port", "filtered",        "link_down",
      "not_ready",          "no_room",        "no_buffer", "impairment_loss", "impairment_queue"};
  return names[static_cast<std::size_t>(reason)];
}

}  // namespace patchbay::vswitch
