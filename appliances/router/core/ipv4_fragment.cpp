// Fragmentation (RFC 791, 3.2, "An Example Fragmentation Procedure").
#include <algorithm>
#include <array>
#include <cstring>

#include "appliances/router/core/checksum.h"
#include "appliances/router/core/ipv4_options.h"
#include "appliances/router/core/ipv4_output.h"

namespace patchbay::router {
namespace {

/// Frees fragments that will not be sent after all.
void discard_all(Plane& plane, PacketBuffer* first) noexcept {
  while (first != nullptr) {
    PacketBuffer* next = first->next;
    plane.transmitter.discard(*first);
    first = next;
  }
}

}  // namespace

void send_fragments(Plane& plane, PacketBuffer& packet, NextHop& next_hop) noexcept {
  const std::size_t mtu = plane.interface(next_hop.interface).mtu;
  const auto& original = ipv4_of(packet);
  const Ipv4Address destination = original.destination.address();
  const auto payload = ipv4_payload(packet);

  // The first fragment has the header as it is, the others only the options that are to be copied.
  std::array<std::byte, kMaxIpv4HeaderBytes> later_header;
  const std::size_t first_header_bytes = original.header_bytes();
  const std::size_t later_header_bytes = copy_header_for_later_fragments(original, later_header);

  // All fragments are made before the first is sent: either the packet goes or it does not.
  PacketBuffer* first = nullptr;
  PacketBuffer** link = &first;
  for (std::size_t offset = 0; offset < payload.size();) {
    const std::size_t header_bytes = offset == 0 ? first_header_bytes : later_header_bytes;
    const std::size_t left = payload.size() - offset;
    const std::size_t room = mtu - header_bytes;
    const bool last = left <= room;
    const std::size_t bytes = last ? left : room & ~std::size_t{7};
    PacketBuffer* fragment = plane.transmitter.allocate(kEthernetBytes + header_bytes + bytes);
    if (fragment == nullptr) {
      discard_all(plane, first);
      return plane.drop(packet, DropReason::no_buffer);
    }
    auto& header = ipv4_of(*fragment);
    std::memcpy(&header, offset == 0 ? packet.data() + kEthernetBytes : later_header.data(), header_bytes);
    header.total_length = static_cast<std::uint16_t>(header_bytes + bytes);
    const std::size_t position = original.fragment_offset() + offset;
    const bool more = !last || original.more_fragments();
    header.flags_offset = static_cast<std::uint16_t>(position / 8 | (more ? Ipv4Header::kMoreFragments : 0U));
    header.checksum = 0;
    header.checksum = internet_checksum(fragment->bytes().subspan(kEthernetBytes, header_bytes));
    std::memcpy(fragment->data() + kEthernetBytes + header_bytes, payload.data() + offset, bytes);
    *link = fragment;
    link = &fragment->next;
    offset += bytes;
  }

  if (packet.ingress != kNoInterface) ++plane.counters.forwarded;
  plane.transmitter.finish_fragmented(packet);
  while (first != nullptr) {
    PacketBuffer& fragment = *first;
    first = fragment.next;
    fragment.next = nullptr;
    ++plane.counters.fragments_made;
    send_to_neighbor(plane, fragment, next_hop, destination);
  }
}

}  // namespace patchbay::router
