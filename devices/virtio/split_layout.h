// The memory layout of a split virtqueue (Virtio 1.2, 2.7): what device and driver share. Little-endian, as
// is every host this project runs on.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace patchbay::devices::virtio {

static_assert(std::endian::native == std::endian::little, "ring fields are little-endian (Virtio 1.2, 1.4)");

/// struct virtq_desc (2.7.5).
struct SplitDescriptor {
  static constexpr std::uint16_t kNext = 1;
  static constexpr std::uint16_t kWrite = 2;
  static constexpr std::uint16_t kIndirect = 4;

  std::uint64_t address = 0;
  std::uint32_t length = 0;
  std::uint16_t flags = 0;
  std::uint16_t next = 0;
};
static_assert(sizeof(SplitDescriptor) == 16);

/// struct virtq_used_elem (2.7.8).
struct SplitUsedElement {
  std::uint32_t id = 0;
  std::uint32_t length = 0;
};
static_assert(sizeof(SplitUsedElement) == 8);

/// Offsets in the available ring (2.7.6): flags, idx, ring[size], used_event.
inline constexpr std::uint16_t kAvailNoInterrupt = 1;  // VIRTQ_AVAIL_F_NO_INTERRUPT
inline constexpr std::size_t kAvailFlags = 0;
inline constexpr std::size_t kAvailIndex = 2;
inline constexpr std::size_t kAvailRing = 4;
constexpr std::size_t avail_used_event(std::size_t queue_size) noexcept {
  return kAvailRing + 2 * queue_size;
}
constexpr std::size_t avail_bytes(std::size_t queue_size) noexcept {
  return avail_used_event(queue_size) + 2;
}

/// Offsets in the used ring (2.7.8): flags, idx, ring[size], avail_event.
inline constexpr std::uint16_t kUsedNoNotify = 1;  // VIRTQ_USED_F_NO_NOTIFY
inline constexpr std::size_t kUsedFlags = 0;
inline constexpr std::size_t kUsedIndex = 2;
inline constexpr std::size_t kUsedRing = 4;
constexpr std::size_t used_avail_event(std::size_t queue_size) noexcept {
  return kUsedRing + 8 * queue_size;
}
constexpr std::size_t used_bytes(std::size_t queue_size) noexcept {
  return used_avail_event(queue_size) + 2;
}

constexpr std::size_t descriptor_table_bytes(std::size_t queue_size) noexcept {
  return 16 * queue_size;
}

/// Whether the other side asked for a notification in [before, now) (vring_need_event, 2.7.7.2 and 2.7.10).
/// All are free-running 16-bit indices.
constexpr bool event_passed(std::uint16_t event, std::uint16_t now, std::uint16_t before) noexcept {
  return static_cast<std::uint16_t>(now - event - 1) < static_cast<std::uint16_t>(now - before);
}

}  // namespace patchbay::devices::virtio
