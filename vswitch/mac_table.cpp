#include "vswitch/mac_table.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <mutex>
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
      ageing_(static_cast<std::int32_t>(std::min<std::uint32_t>(ageing_seconds, INT32_MAX))),
      mask_(std::bit_ceil(std::max<std::size_t>(capacity / 2, 1)) - 1),
      buckets_(mask_ + 1) {}

MacTable::Learned MacTable::learn_change(MacKey mac, std::uint16_t port, std::uint32_t now,
                                         Places at) noexcept {
  const std::uint64_t wanted = (std::uint64_t{port} << kPortShift) | mac;
  const std::lock_guard lock(changes_);

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
      if ((bucket.slot(way) & kMacMask) != mac) continue;
      bucket.seen[way].store(now, std::memory_order_relaxed);
      // Another thread may have learned it since is_known().
      if (bucket.slot(way) == wanted) return Learned::known;
      bucket.slots[way].store(wanted, std::memory_order_relaxed);
      return Learned::moved;
    }
    if (used < least_used) {
      least_used = used;
      free_bucket = &bucket;
      free_way = free_here;
    }
  }
  if (free_bucket == nullptr) return Learned::full;
  // First the time: an address is never seen with the age of the one before it.
  free_bucket->seen[free_way].store(now, std::memory_order_relaxed);
  free_bucket->slots[free_way].store(wanted, std::memory_order_release);
  return Learned::added;
}

std::uint16_t MacTable::find(MacKey mac, std::uint32_t now) const noexcept {
  const Places at = places(mac);
  const std::uint16_t port = find_in(buckets_[at.first], mac, now);
  return port != kUnknown ? port : find_in(buckets_[at.second], mac, now);
}

void MacTable::forget(std::uint16_t port) noexcept {
  const std::lock_guard lock(changes_);
  for (Bucket& bucket : buckets_) {
    for (std::size_t way = 0; way < kWays; ++way) {
      if (bucket.slot(way) != 0 && bucket.slot(way) >> kPortShift == port)
        bucket.slots[way].store(0, std::memory_order_relaxed);
    }
  }
}

std::vector<MacTable::Entry> MacTable::entries(std::uint32_t now) const {
  std::vector<Entry> result;
  for (const Bucket& bucket : buckets_) {
    for (std::size_t way = 0; way < kWays; ++way) {
      if (!live(bucket, way, now)) continue;
      const std::uint64_t slot = bucket.slot(way);
      result.push_back({slot & kMacMask, static_cast<std::uint16_t>(slot >> kPortShift),
                        static_cast<std::uint32_t>(std::max(age(bucket.seen_at(way), now), 0))});
    }
  }
  return result;
}

}  // namespace patchbay::vswitch
