#include "appliances/router/core/neighbor.h"

#include <algorithm>

namespace patchbay::router {

NeighborTable::NeighborTable(std::span<Neighbor> entries, std::span<std::uint32_t> buckets) noexcept
    : entries_(entries), buckets_(buckets) {
  std::fill(buckets_.begin(), buckets_.end(), Neighbor::kNone);
  for (std::size_t i = entries_.size(); i-- > 0;) {
    entries_[i].next = free_;
    free_ = static_cast<std::uint32_t>(i);
  }
}

Neighbor* NeighborTable::create(InterfaceId interface, Ipv4Address address) noexcept {
  if (free_ == Neighbor::kNone) return nullptr;
  const std::uint32_t index = free_;
  Neighbor& neighbor = entries_[index];
  free_ = neighbor.next;
  neighbor = Neighbor{};
  neighbor.address = address;
  neighbor.interface = interface;
  std::uint32_t& bucket = buckets_[bucket_of(interface, address)];
  neighbor.next = bucket;
  bucket = index;
  ++size_;
  return &neighbor;
}

void NeighborTable::remove(Neighbor& neighbor) noexcept {
  const auto index = static_cast<std::uint32_t>(&neighbor - entries_.data());
  std::uint32_t* link = &buckets_[bucket_of(neighbor.interface, neighbor.address)];
  while (*link != index)
    link = &entries_[*link].next;
  *link = neighbor.next;
  neighbor = Neighbor{};
  neighbor.next = free_;
  free_ = index;
  --size_;
}

Neighbor* NeighborTable::find_victim(Nanoseconds now) noexcept {
  constexpr std::size_t kSample = 16;
  const auto rank = [](NeighborState state) {
    switch (state) {
      case NeighborState::failed:
        return 0;
      case NeighborState::stale:
        return 1;
      case NeighborState::incomplete:
        return 2;
      default:
        return 3;
    }
  };
  Neighbor* victim = nullptr;
  for (std::size_t i = 0; i < std::min(kSample, entries_.size()); ++i) {
    Neighbor& candidate = entries_[hand_];
    hand_ = hand_ + 1 == entries_.size() ? 0 : hand_ + 1;
    const bool asked_just_now = candidate.last_request != 0 && now - candidate.last_request < kSecond;
    if (rank(candidate.state) == 3 || asked_just_now) continue;
    if (victim == nullptr || rank(candidate.state) < rank(victim->state)) victim = &candidate;
  }
  return victim;
}

}  // namespace patchbay::router
