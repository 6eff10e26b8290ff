#include "appliances/router/guest/split_ring.h"

#include <cstring>

#include "appliances/router/guest/panic.h"

namespace patchbay::router::guest {

SplitRing::SplitRing(Arena& arena, std::uint16_t size, Direction direction) noexcept
    : size_(size), mask_(static_cast<std::uint16_t>(size - 1)) {
  // A cache line boundary satisfies the alignments of 2.7 and keeps what the device writes apart from what
  // the driver writes.
  constexpr std::size_t kAlignment = 64;
  const auto zeroed = [&arena](std::size_t bytes) {
    const std::span<std::byte> area = arena.take(bytes, kAlignment);
    if (area.empty()) panic("not enough memory for rings");
    std::memset(area.data(), 0, bytes);
    return area.data();
  };
  descriptors_ = reinterpret_cast<Descriptor*>(zeroed(std::size_t{size} * sizeof(Descriptor)));
  driver_area_ = reinterpret_cast<std::uint16_t*>(zeroed(2U * (3U + size)));
  available_index_ = driver_area_ + 1;
  available_ring_ = driver_area_ + 2;
  used_event_ = available_ring_ + size;
  device_area_ = reinterpret_cast<std::uint16_t*>(zeroed(2U * (3U + 4U * size)));
  used_index_ = device_area_ + 1;
  used_ring_ = reinterpret_cast<UsedElement*>(device_area_ + 2);
  available_event_ = device_area_ + 2 + 4U * size;
  packets_ = arena.make_array<PacketBuffer*>(size);
  ids_ = arena.make_array<std::uint16_t>(size);
  if (packets_.empty() || ids_.empty()) panic("not enough memory for rings");

  for (std::uint16_t i = 0; i < size; ++i) {
    descriptors_[i].flags = static_cast<std::uint16_t>(direction);
    available_ring_[i] = i;
    ids_[i] = i;
  }
  // No message before enable_notification(): the event lies as far ahead as it can.
  *used_event_ = 0x8000;
}

}  // namespace patchbay::router::guest
