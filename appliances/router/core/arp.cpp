#include "appliances/router/core/arp.h"

#include <algorithm>
#include <cstring>

#include "appliances/router/core/icmp_error.h"

namespace patchbay::router {
namespace {

void set_deadline(Plane& plane, Neighbor& neighbor, Nanoseconds deadline) noexcept {
  neighbor.deadline = deadline;
  plane.neighbor_deadline = std::min(plane.neighbor_deadline, deadline);
}

void send_arp(Plane& plane, const Interface& interface, std::uint16_t operation,
              const MacAddress& ethernet_target, Ipv4Address sender, const MacAddress& target_mac,
              Ipv4Address target) noexcept {
  PacketBuffer* packet = plane.transmitter.allocate(kEthernetBytes + sizeof(ArpPacket));
  if (packet == nullptr) return;
  auto& ethernet = view_as<EthernetHeader>(packet->data());
  ethernet.destination = ethernet_target;
  ethernet.source = interface.mac;
  ethernet.type = kEtherTypeArp;
  auto& arp = view_as<ArpPacket>(packet->data() + kEthernetBytes);
  arp.hardware_type = ArpPacket::kHardwareEthernet;
  arp.protocol_type = kEtherTypeIpv4;
  arp.hardware_length = sizeof(MacAddress);
  arp.protocol_length = sizeof(BigEndian32);
  arp.operation = operation;
  arp.sender_mac = interface.mac;
  arp.sender_address = sender;
  arp.target_mac = target_mac;
  arp.target_address = target;
  ++plane.counters.originated;
  plane.transmitter.send(interface.id, *packet);
}

/// Asks for a neighbour's MAC address: everybody, or, to confirm it, the neighbour alone.
void send_request(Plane& plane, Neighbor& neighbor, const MacAddress& whom) noexcept {
  const Interface& interface = plane.interface(neighbor.interface);
  neighbor.last_request = plane.now;
  ++neighbor.requests;
  set_deadline(plane, neighbor, plane.now + arp::kRequestInterval);
  if (interface.address_count == 0) return;
  // The address of ours that the neighbour can answer, if there is one.
  const Ipv4Prefix* own = interface.connected(neighbor.address);
  const Ipv4Address sender = own != nullptr ? own->address : interface.address_list[0].address;
  send_arp(plane, interface, ArpPacket::kRequest, whom, sender, MacAddress{}, neighbor.address);
}

void hold(Plane& plane, Neighbor& neighbor, PacketBuffer& packet) noexcept {
  // The newest packet is the one worth keeping: older ones make room (RFC 1122, 2.3.2.2).
  if (neighbor.held != 0 &&
      (neighbor.held == arp::kMaxHeldPerNeighbor || plane.counters.held >= arp::kMaxHeld)) {
    PacketBuffer* oldest = neighbor.held_first;
    neighbor.held_first = oldest->next;
    if (neighbor.held_first == nullptr) neighbor.held_last = nullptr;
    --neighbor.held;
    --plane.counters.held;
    plane.drop(*oldest, DropReason::hold_queue_full);
  }
  if (plane.counters.held >= arp::kMaxHeld) {
    plane.drop(packet, DropReason::hold_queue_full);
    return;
  }
  packet.next = nullptr;
  (neighbor.held_last == nullptr ? neighbor.held_first : neighbor.held_last->next) = &packet;
  neighbor.held_last = &packet;
  ++neighbor.held;
  ++plane.counters.held;
}

/// Empties the hold queue.
template <typename Action>
void for_each_held(Plane& plane, Neighbor& neighbor, Action action) noexcept {
  PacketBuffer* packet = neighbor.held_first;
  plane.counters.held -= neighbor.held;
  neighbor.held_first = neighbor.held_last = nullptr;
  neighbor.held = 0;
  while (packet != nullptr) {
    PacketBuffer* next = packet->next;
    packet->next = nullptr;
    action(*packet);
    packet = next;
  }
}

void confirm(Plane& plane, Neighbor& neighbor, const MacAddress& mac) noexcept {
  EthernetHeader header;
  header.destination = mac;
  header.source = plane.interface(neighbor.interface).mac;
  header.type = kEtherTypeIpv4;
  std::memcpy(neighbor.header.data(), &header, sizeof(header));
  neighbor.state = NeighborState::reachable;
  neighbor.requests = 0;
  neighbor.updated = plane.now;
  set_deadline(plane, neighbor, plane.now + arp::kReachableTime);
  for_each_held(plane, neighbor, [&](PacketBuffer& packet) {
    std::memcpy(packet.data(), neighbor.header.data(), kEthernetBytes);
    if (packet.ingress != kNoInterface) ++plane.counters.forwarded;
    plane.transmitter.send(neighbor.interface, packet);
  });
}

void drop_held(Plane& plane, Neighbor& neighbor, DropReason reason) noexcept {
  for_each_held(plane, neighbor, [&](PacketBuffer& packet) { plane.drop(packet, reason); });
}

Neighbor* create_neighbor(Plane& plane, InterfaceId interface, Ipv4Address address) noexcept {
  Neighbor* neighbor = plane.neighbors.create(interface, address);
  if (neighbor != nullptr) return neighbor;
  Neighbor* victim = plane.neighbors.find_victim(plane.now);
  if (victim == nullptr) return nullptr;
  drop_held(plane, *victim, DropReason::neighbor_table_full);
  plane.neighbors.remove(*victim);
  return plane.neighbors.create(interface, address);
}

void start_resolution(Plane& plane, Neighbor& neighbor) noexcept {
  neighbor.state = NeighborState::incomplete;
  neighbor.requests = 0;
  send_request(plane, neighbor, kBroadcastMac);
}

/// Nobody answered: the packets' senders are told (RFC 1812, 5.2.7.1), later packets fail at once for a
/// while.
void give_up(Plane& plane, Neighbor& neighbor) noexcept {
  neighbor.state = NeighborState::failed;
  set_deadline(plane, neighbor, plane.now + arp::kFailedTime);
  for_each_held(plane, neighbor, [&](PacketBuffer& packet) {
    send_icmp_error(plane, packet, IcmpType::destination_unreachable, icmp_code::kHostUnreachable);
    plane.drop(packet, DropReason::neighbor_unresolved);
  });
}

/// The next step of a neighbour whose deadline has come.
void expire(Plane& plane, Neighbor& neighbor) noexcept {
  switch (neighbor.state) {
    case NeighborState::incomplete:
      if (neighbor.requests >= arp::kMaxRequests) return give_up(plane, neighbor);
      return send_request(plane, neighbor, kBroadcastMac);
    case NeighborState::reachable:
      neighbor.state = NeighborState::stale;
      return set_deadline(plane, neighbor, plane.now + arp::kStaleTime);
    case NeighborState::probe:
      // RFC 1122, 2.3.2.1 (2): unicast polls; without an answer the entry goes.
      if (neighbor.requests < arp::kMaxRequests) return send_request(plane, neighbor, neighbor.mac());
      return plane.neighbors.remove(neighbor);
    case NeighborState::stale:
    case NeighborState::failed:
      return plane.neighbors.remove(neighbor);
    case NeighborState::unused:
      return;
  }
}

bool well_formed(const ArpPacket& arp) noexcept {
  return arp.hardware_type == ArpPacket::kHardwareEthernet && arp.protocol_type == kEtherTypeIpv4 &&
         arp.hardware_length == sizeof(MacAddress) && arp.protocol_length == sizeof(BigEndian32) &&
         (arp.operation == ArpPacket::kRequest || arp.operation == ArpPacket::kReply) &&
         !arp.sender_mac.is_group() && !arp.sender_mac.is_zero();
}

/// On the interface's networks, on-link by an interface route, or a neighbour we asked for.
bool on_link(Plane& plane, const Interface& interface, Ipv4Address address) noexcept {
  if (interface.connected(address) != nullptr) return !interface.is_broadcast(address);
  if (plane.neighbors.find(interface.id, address) != nullptr) return true;
  const NextHop* next_hop = plane.routes.lookup(address);
  return next_hop != nullptr && next_hop->kind == NextHop::Kind::attached &&
         next_hop->interface == interface.id;
}

}  // namespace

void arp_input(Plane& plane, PacketBuffer& packet) noexcept {
  const Interface& interface = plane.interface(packet.ingress);
  if (packet.length < kEthernetBytes + sizeof(ArpPacket)) return plane.drop(packet, DropReason::bad_arp);
  const auto& arp = view_as<ArpPacket>(packet.data() + kEthernetBytes);
  if (!well_formed(arp) || arp.sender_mac == interface.mac) return plane.drop(packet, DropReason::bad_arp);
  const Ipv4Address sender = arp.sender_address.address();
  const Ipv4Address target = arp.target_address.address();
  const bool for_us = interface.owns(target);

  if (interface.owns(sender)) {
    // RFC 5227, 2.4 (b): defend the address, once per interval.
    if (plane.icmp_limiter.allow(sender, plane.now)) arp_announce(plane, interface.id, sender);
    return plane.drop(packet, DropReason::arp_duplicate_address);
  }
  // An address probe (RFC 5227, 1.1) has no sender address: it is answered, nothing is learnt.
  if (!sender.is_zero()) {
    if (!on_link(plane, interface, sender)) return plane.drop(packet, DropReason::arp_off_link);
    // RFC 826: update what is known, whoever is the target (gratuitous ARP, RFC 5944, 4.6); learn more only
    // from those who talk to us.
    Neighbor* neighbor = plane.neighbors.find(interface.id, sender);
    if (neighbor == nullptr && for_us) neighbor = create_neighbor(plane, interface.id, sender);
    if (neighbor != nullptr) confirm(plane, *neighbor, arp.sender_mac);
  }
  if (!for_us) {
    // Announcements have done their work; the rest is between others.
    if (sender == target) return plane.transmitter.consume(packet);
    return plane.drop(packet, DropReason::arp_not_for_us);
  }
  if (arp.operation == ArpPacket::kRequest) {
    send_arp(plane, interface, ArpPacket::kReply, arp.sender_mac, target, arp.sender_mac, sender);
  }
  plane.transmitter.consume(packet);
}

void arp_resolve_and_send(Plane& plane, PacketBuffer& packet, InterfaceId interface,
                          Ipv4Address next_hop) noexcept {
  Neighbor* neighbor = plane.neighbors.find(interface, next_hop);
  if (neighbor == nullptr) {
    neighbor = create_neighbor(plane, interface, next_hop);
    if (neighbor == nullptr) return plane.drop(packet, DropReason::neighbor_table_full);
  }
  switch (neighbor->state) {
    case NeighborState::unused:
      start_resolution(plane, *neighbor);
      return hold(plane, *neighbor, packet);
    case NeighborState::incomplete:
      return hold(plane, *neighbor, packet);
    case NeighborState::failed:
      if (plane.now - neighbor->last_request >= arp::kRequestInterval) {
        start_resolution(plane, *neighbor);
        return hold(plane, *neighbor, packet);
      }
      send_icmp_error(plane, packet, IcmpType::destination_unreachable, icmp_code::kHostUnreachable);
      return plane.drop(packet, DropReason::neighbor_unresolved);
    case NeighborState::stale:
      neighbor->state = NeighborState::probe;
      neighbor->requests = 0;
      send_request(plane, *neighbor, neighbor->mac());
      break;
    case NeighborState::reachable:
    case NeighborState::probe:
      break;
  }
  std::memcpy(packet.data(), neighbor->header.data(), kEthernetBytes);
  if (packet.ingress != kNoInterface) ++plane.counters.forwarded;
  plane.transmitter.send(interface, packet);
}

void arp_poll(Plane& plane) noexcept {
  if (plane.now < plane.neighbor_deadline) return;
  // Entries come due at their own times; looking at all of them at most a hundred times a second bounds the
  // work.
  constexpr Nanoseconds kGranularity = 10 * kMillisecond;
  Nanoseconds next = kNever;
  plane.neighbor_deadline = kNever;
  for (auto& neighbor : plane.neighbors.entries()) {
    if (neighbor.state == NeighborState::unused) continue;
    if (neighbor.deadline <= plane.now) expire(plane, neighbor);
    if (neighbor.state != NeighborState::unused) next = std::min(next, neighbor.deadline);
  }
  if (next != kNever) plane.neighbor_deadline = std::max(next, plane.now + kGranularity);
}

void arp_announce(Plane& plane, InterfaceId interface, Ipv4Address address) noexcept {
  send_arp(plane, plane.interface(interface), ArpPacket::kRequest, kBroadcastMac, address, MacAddress{},
           address);
}

void arp_forget(Plane& plane, InterfaceId interface, bool all) noexcept {
  for (auto& neighbor : plane.neighbors.entries()) {
    if (neighbor.state == NeighborState::unused || neighbor.interface != interface) continue;
    if (!all && plane.interface(interface).connected(neighbor.address) != nullptr) continue;
    drop_held(plane, neighbor, DropReason::interface_down);
    plane.neighbors.remove(neighbor);
  }
}

}  // namespace patchbay::router
