// The filtering database of a learning bridge (IEEE 802.1Q-2018, 8.8.3 "dynamic filtering entries"): which
// port an individual address was last seen behind.
//
// A fixed array of buckets, one cache line each; an address may lie in one of two buckets, so every operation
// looks at ten entries at most. The table never grows: an address that finds both its buckets full of live
// entries is not learned, and frames for it are flooded, as 8.7 allows. Entries age lazily: an entry that is
// too old counts as free space and is never found. The hash is keyed at random, so that a guest cannot aim at
// one bucket.
//
// Threads: any number may learn and find at once. Whoever knows all addresses it sees, which is the rule,
// only reads; changes take a lock. A reader that meets a change sees the table before or after it; if the
// place of an address is just being given to another, one frame may be flooded or go where the address was.
// Time is a count of seconds that the caller supplies; wrapping is harmless.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "vswitch/brief_mutex.h"

namespace patchbay::vswitch {

/// A 48-bit address as the little-endian number of its bytes: the first byte on the wire is the lowest.
using MacKey = std::uint64_t;
inline constexpr MacKey kMacMask = 0xffff'ffff'ffff;

/// Reads the address at `bytes`, of which eight must be readable.
[[nodiscard]] inline MacKey load_mac(const std::byte* bytes) noexcept {
  MacKey key;
  std::memcpy(&key, bytes, sizeof key);
  return key & kMacMask;
}
/// True for multicast and broadcast addresses.
[[nodiscard]] constexpr bool is_group(MacKey mac) noexcept {
  return (mac & 1) != 0;
}

class MacTable {
 public:
  static constexpr std::size_t kDefaultCapacity = 4096;
  static constexpr std::uint32_t kDefaultAgeing = 300;  // seconds; 802.1Q table 8-6
  /// What find() answers for an address that is not known.
  static constexpr std::uint16_t kUnknown = 0xffff;

  enum class Learned : unsigned char { known, added, moved, full };

  struct Entry {
    MacKey mac;
    std::uint16_t port;
    std::uint32_t age;  // seconds
  };

  /// Holds `capacity` addresses with a negligible chance that one does not fit. Throws std::bad_alloc.
  explicit MacTable(std::size_t capacity = kDefaultCapacity, std::uint32_t ageing_seconds = kDefaultAgeing);
  MacTable(std::size_t capacity, std::uint32_t ageing_seconds, std::uint64_t hash_key);

  /// Notes that `mac` (individual, not zero) was seen behind `port` (not kUnknown).
  Learned learn(MacKey mac, std::uint16_t port, std::uint32_t now) noexcept {
    const Places at = places(mac);
    return is_known(mac, port, now, at) ? Learned::known : learn_change(mac, port, now, at);
  }

  /// The port of `mac`, or kUnknown. Quick some time after prefetch().
  [[nodiscard]] std::uint16_t find(MacKey mac, std::uint32_t now) const noexcept;

  /// Starts to load the bucket where `mac` most likely lies.
  void prefetch(MacKey mac) const noexcept { __builtin_prefetch(&buckets_[places(mac).first]); }

  /// Removes every entry of `port`: its link went down or it left the bridge (8.8.3, 13.17 "flush").
  void forget(std::uint16_t port) noexcept;

  /// Live entries in no order; allocates.
  [[nodiscard]] std::vector<Entry> entries(std::uint32_t now) const;

  [[nodiscard]] std::uint32_t ageing_seconds() const noexcept { return static_cast<std::uint32_t>(ageing_); }

 private:
  static constexpr std::size_t kWays = 5;
  static constexpr unsigned kPortShift = 48;

  struct alignas(64) Bucket {
    std::array<std::atomic<std::uint64_t>, kWays> slots{};  // port << 48 | mac; 0 is free
    std::array<std::atomic<std::uint32_t>, kWays> seen{};   // when the address last sent, in seconds

    [[nodiscard]] std::uint64_t slot(std::size_t way) const noexcept {
      return slots[way].load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint32_t seen_at(std::size_t way) const noexcept {
      return seen[way].load(std::memory_order_relaxed);
    }
  };
  static_assert(sizeof(Bucket) == 64);

  struct Places {
    std::size_t first;
    std::size_t second;
  };

  [[nodiscard]] Places places(MacKey mac) const noexcept {
    std::uint64_t hash = (mac ^ hash_key_) * 0x9e37'79b9'7f4a'7c15;
    hash = (hash ^ (hash >> 32)) * 0xd6e8'feb8'6659'fd93;
    hash ^= hash >> 32;
    return {hash & mask_, (hash >> 32) & mask_};
  }
  /// Of an entry seen at that time; not above 0 if another worker's clock was already further.
  [[nodiscard]] static std::int32_t age(std::uint32_t seen, std::uint32_t now) noexcept {
    return static_cast<std::int32_t>(now - seen);
  }
  [[nodiscard]] bool young(std::uint32_t seen, std::uint32_t now) const noexcept {
    return age(seen, now) <= ageing_;
  }
  [[nodiscard]] bool live(const Bucket& bucket, std::size_t way, std::uint32_t now) const noexcept {
    return bucket.slot(way) != 0 && young(bucket.seen_at(way), now);
  }
  [[nodiscard]] std::uint16_t find_in(const Bucket& bucket, MacKey mac, std::uint32_t now) const noexcept {
    for (std::size_t way = 0; way < kWays; ++way) {
      const std::uint64_t slot = bucket.slot(way);
      if ((slot & kMacMask) == mac && slot != 0 && young(bucket.seen_at(way), now))
        return static_cast<std::uint16_t>(slot >> kPortShift);
    }
    return kUnknown;
  }
  [[nodiscard]] bool is_known(MacKey mac, std::uint16_t port, std::uint32_t now, Places at) noexcept {
    const std::uint64_t wanted = (std::uint64_t{port} << kPortShift) | mac;
    for (const std::size_t place : {at.first, at.second}) {
      Bucket& bucket = buckets_[place];
      for (std::size_t way = 0; way < kWays; ++way) {
        if (bucket.slot(way) != wanted) continue;
        const std::uint32_t seen = bucket.seen_at(way);
        if (!young(seen, now)) return false;
        // Stores only on change: the line stays clean for an address that sends all the time.
        if (age(seen, now) > 0) bucket.seen[way].store(now, std::memory_order_relaxed);
        return true;
      }
    }
    return false;
  }
  Learned learn_change(MacKey mac, std::uint16_t port, std::uint32_t now, Places at) noexcept;

  std::uint64_t hash_key_;
  std::int32_t ageing_;
  std::size_t mask_;
  BriefMutex changes_;
  std::vector<Bucket> buckets_;
};

}  // namespace patchbay::vswitch
