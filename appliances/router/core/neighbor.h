// The neighbour table: which MAC address belongs to an IPv4 address on an interface, and what waits to learn
// it.
//
// This file keeps the entries; arp.cpp drives their states:
//
//   incomplete --reply--> reachable --30 s--> stale --used--> probe --reply--> reachable
//       | 3 requests                            | 5 min idle      | 3 unicast probes
//       v                                       v                 v
//     failed --5 s idle--> removed           removed           removed
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "appliances/router/core/address.h"
#include "appliances/router/core/packet.h"

namespace patchbay::router {

enum class NeighborState : std::uint8_t { unused, incomplete, reachable, stale, probe, failed };

constexpr std::string_view to_string(NeighborState state) noexcept {
  constexpr std::array<std::string_view, 6> names{"unused", "incomplete", "reachable",
                                                  "stale",  "probe",      "failed"};
  return names[static_cast<std::size_t>(state)];
}

struct Neighbor {
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  Ipv4Address address;
  InterfaceId interface = kNoInterface;
  NeighborState state = NeighborState::unused;
  std::uint8_t requests = 0;  // unanswered so far
  std::array<std::uint8_t, 16>
      header{};                        // the Ethernet header towards it (14 bytes): destination, source, IPv4
  Nanoseconds deadline = kNever;       // of the state
  Nanoseconds last_request = 0;        // when the last ARP request left; 0: never
  Nanoseconds updated = 0;             // when its MAC address was last confirmed
  PacketBuffer* held_first = nullptr;  // packets that wait for the MAC address, oldest first
  PacketBuffer* held_last = nullptr;
  std::uint32_t held = 0;
  std::uint32_t next = kNone;  // in the hash bucket, or among the free entries

  /// True if `header` is good to use without a look at the clock.
  [[nodiscard]] bool usable() const noexcept {
    return state == NeighborState::reachable || state == NeighborState::probe;
  }
  [[nodiscard]] MacAddress mac() const noexcept {
    MacAddress mac;
    for (std::size_t i = 0; i < mac.bytes.size(); ++i)
      mac.bytes[i] = header[i];
    return mac;
  }
};

class NeighborTable {
 public:
  /// `buckets` has a power of two of elements; both live as long as the table.
  NeighborTable(std::span<Neighbor> entries, std::span<std::uint32_t> buckets) noexcept;

  [[nodiscard]] Neighbor* find(InterfaceId interface, Ipv4Address address) noexcept {
    for (std::uint32_t i = buckets_[bucket_of(interface, address)]; i != Neighbor::kNone;
         i = entries_[i].next) {
      if (entries_[i].address == address && entries_[i].interface == interface) return &entries_[i];
    }
    return nullptr;
  }
  /// The same, first trying the entry where it was found last time.
  [[nodiscard]] Neighbor* find(InterfaceId interface, Ipv4Address address, std::uint32_t& hint) noexcept {
    if (hint < entries_.size() && entries_[hint].address == address &&
        entries_[hint].interface == interface) {
      return &entries_[hint];
    }
    Neighbor* found = find(interface, address);
    if (found != nullptr) hint = static_cast<std::uint32_t>(found - entries_.data());
    return found;
  }
  /// A fresh entry in state unused, for a pair that is not in the table; nullptr if no entry is free.
  [[nodiscard]] Neighbor* create(InterfaceId interface, Ipv4Address address) noexcept;
  /// Precondition: nothing is held.
  void remove(Neighbor& neighbor) noexcept;
  /// An entry whose loss hurts least, looking at a few at a time: failed before stale before incomplete, none
  /// that asked within the last second (its rate limit would be forgotten) and none in use. nullptr if there
  /// is none.
  [[nodiscard]] Neighbor* find_victim(Nanoseconds now) noexcept;

  [[nodiscard]] std::span<Neighbor> entries() noexcept { return entries_; }
  [[nodiscard]] std::span<const Neighbor> entries() const noexcept { return entries_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  [[nodiscard]] std::size_t bucket_of(InterfaceId interface, Ipv4Address address) const noexcept {
    const std::uint64_t key = std::uint64_t{interface} << 32 | address.value;
    return (key * 0x9E37'79B9'7F4A'7C15U >> 32) & (buckets_.size() - 1);
  }

  std::span<Neighbor> entries_;
  std::span<std::uint32_t> buckets_;
  std::uint32_t free_ = Neighbor::kNone;
  std::size_t size_ = 0;
  std::size_t hand_ = 0;  // where find_victim() goes on
};

}  // namespace patchbay::router
