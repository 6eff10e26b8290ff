// Where a packed ring's used descriptors go on, kept outside the process that serves the ring: it has no
// index in memory, so whoever takes the ring over after a crash has nothing else to go by. The layout is that
// of a vhost-user inflight region.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "devices/virtio/packed_layout.h"

namespace patchbay::devices::virtio {

/// The new position is written before used descriptors are published, the old one made equal to it after: of
/// a record with two positions, the descriptor at the old one tells which holds.
struct PackedUsedRecord {
  std::uint16_t at = 0;
  std::uint16_t old_at = 0;
  std::uint8_t wrap = 0;
  std::uint8_t old_wrap = 0;
  std::uint16_t padding = 0;

  /// A record of one position, with its wrap counter in bit 15.
  [[nodiscard]] static constexpr PackedUsedRecord settled(std::uint16_t position) noexcept {
    return moving(position, position);
  }
  [[nodiscard]] static constexpr PackedUsedRecord moving(std::uint16_t from, std::uint16_t to) noexcept {
    constexpr auto index = static_cast<std::uint16_t>(~kPackedWrap);
    return {static_cast<std::uint16_t>(to & index), static_cast<std::uint16_t>(from & index),
            static_cast<std::uint8_t>(to >> 15), static_cast<std::uint8_t>(from >> 15), 0};
  }
  [[nodiscard]] constexpr std::uint16_t position() const noexcept {
    return static_cast<std::uint16_t>(at | wrap << 15);
  }
  [[nodiscard]] constexpr std::uint16_t old_position() const noexcept {
    return static_cast<std::uint16_t>(old_at | old_wrap << 15);
  }
};
static_assert(sizeof(PackedUsedRecord) == 8);

/// One load, so that a peer cannot change what has been checked. `where` is aligned to 8 bytes.
inline PackedUsedRecord load_record(const std::byte* where) noexcept {
  return std::bit_cast<PackedUsedRecord>(
      std::atomic_ref(*reinterpret_cast<std::uint64_t*>(const_cast<std::byte*>(where)))
          .load(std::memory_order_acquire));
}
/// One store, so that a crash leaves a whole record. `where` is aligned to 8 bytes.
inline void store_record(const PackedUsedRecord& record, std::byte* where) noexcept {
  std::atomic_ref(*reinterpret_cast<std::uint64_t*>(where))
      .store(std::bit_cast<std::uint64_t>(record), std::memory_order_release);
}

}  // namespace patchbay::devices::virtio
