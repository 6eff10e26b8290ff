// The memory layout of a packed virtqueue (Virtio 1.2, 2.8): what device and driver share. Little-endian, as
// is every host this project runs on.
#pragma once

#include <cstddef>
#include <cstdint>

namespace patchbay::devices::virtio {

/// struct pvirtq_desc (2.8.13).
struct PackedDescriptor {
  static constexpr std::uint16_t kNext = 1;
  static constexpr std::uint16_t kWrite = 2;
  static constexpr std::uint16_t kIndirect = 4;
  static constexpr std::uint16_t kAvail = 1 << 7;
  static constexpr std::uint16_t kUsed = 1 << 15;

  std::uint64_t address = 0;
  std::uint32_t length = 0;
  std::uint16_t id = 0;
  std::uint16_t flags = 0;
};
static_assert(sizeof(PackedDescriptor) == 16);
inline constexpr std::size_t kPackedLength = offsetof(PackedDescriptor, length);
inline constexpr std::size_t kPackedId = offsetof(PackedDescriptor, id);
inline constexpr std::size_t kPackedFlags = offsetof(PackedDescriptor, flags);

/// struct pvirtq_event_suppress (2.8.14), one in the driver area and one in the device area: a position with
/// its wrap counter in bit 15, then flags.
inline constexpr std::size_t kPackedEventBytes = 4;
inline constexpr std::size_t kPackedEventPosition = 0;
inline constexpr std::size_t kPackedEventFlags = 2;
inline constexpr std::uint16_t kPackedWrap = 1 << 15;
inline constexpr std::uint16_t kPackedEventEnable = 0;
inline constexpr std::uint16_t kPackedEventDisable = 1;
inline constexpr std::uint16_t kPackedEventAt = 2;  // RING_EVENT_FLAGS_DESC

/// The flags that make a descriptor available in a lap with this wrap counter (2.8.1).
constexpr std::uint16_t available_flags(bool wrap) noexcept {
  return wrap ? PackedDescriptor::kAvail : PackedDescriptor::kUsed;
}
/// ... and used.
constexpr std::uint16_t used_flags(bool wrap) noexcept {
  return wrap ? PackedDescriptor::kAvail | PackedDescriptor::kUsed : 0;
}

}  // namespace patchbay::devices::virtio
