#include "vswitch/mac_table.h"

#include <algorithm>
#include <bit>
#include <random>

namespace patchbay::vswitch {

namespace {

std::uint64_t random_key() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

}  // namespace

MacTable::MacTable(std::size_t capacity, std::uint32_t ageing_seconds)
    : MacTable(capacity, ageing_seconds, random_key()) {}

// At most 40 % full at capacity: with two choices, a bucket of five then practically never overflows.
MacTable::MacTable(std::size_t capacity, std::uint32_t ageing_seconds, std::uint64_t hash_key)
    : hash_key_(hash_key),
      ageing_(ageing_seconds),
      mask_(std::bit_ceil(std::max<std::size_t>(capacity / 2, 1)) - 1),
      buckets_(mask_ + 1) {}

MacTable::Learned MacTable::learn(MacKey mac, std::uint16_t port, std::uint32_t now) noexcept {
  const Places at = places(mac);
  const std::uint64_t wanted = (std::uint64_t{port} << kPortShift) | mac;

  Bucket* free_bucket = nullptr;
  std::size_t free_way = 0;
  std::size_t least_used = kWays;
  for (const std::size_t place : {at.first, at.second}) {
    Bucket& bucket = buckets_[place];
    std::size_t used = 0;
    std::size_t free_here = kWays;
    for (std::size_t way = 0; way < kWays; ++way) {
      if (!live(bucket, way, now)) {
        free_here = way;
        continue;
      }
      ++used;
      if ((bucket.slots[way] & kMacMask) != mac) continue;
      // Stores only on change: the line stays clean for an address that sends all the time.
      if (bucket.seen[way] != now) bucket.seen[way] = now;
      if (bucket.slots[way] == wanted) return Learned::known;
      bucket.slots[way] = wanted;
      return Learned::moved;
    }
    if (used < least_used) {
      least_used = used;
      free_bucket = &bucket;
      free_way = free_here;
    }
  }
  if (free_bucket == nullptr) return Learned::full;
  free_bucket->slots[free_way] = wanted;
  free_bucket->seen[free_way] = now;
  return Learned::added;
}

std::uint16_t MacTable::find(MacKey mac, std::uint32_t now) const noexcept {
  const Places at = places(mac);
  const std::uint16_t port = find_in(buckets_[at.first], mac, now);
  return port != kUnknown ? port : find_in(buckets_[at.second], mac, now);
}

void MacTable::forget(std::uint16_t port) noexcept {
  for (Bucket& bucket : buckets_) {
    for (std::uint64_t& slot : bucket.slots) {
      if (slot != 0 && slot >> kPortShift == port) slot = 0;
    }
  }
}

std::vector<MacTable::Entry> MacTable::entries(std::uint32_t now) const {
  std::vector<Entry> result;
  for (const Bucket& bucket : buckets_) {
    for (std::size_t way = 0; way < kWays; ++way) {
      if (!live(bucket, way, now)) continue;
      result.push_back({bucket.slots[way] & kMacMask,
                        static_cast<std::uint16_t>(bucket.slots[way] >> kPortShift), now - bucket.seen[way]});
    }
  }
  return result;
}

}  // namespace patchbay::vswitch
