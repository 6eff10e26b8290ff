#include "appliances/router/guest/packed_ring.h"

#include <cstring>

#include "appliances/router/guest/panic.h"

namespace patchbay::router::guest {

PackedRing::PackedRing(Arena& arena, std::uint16_t size, Direction direction) noexcept
    : size_(size), direction_(static_cast<std::uint16_t>(direction)), free_(size) {
  // A cache line each: what the device writes apart from what the driver writes.
  constexpr std::size_t kAlignment = 64;
  const auto zeroed = [&arena](std::size_t bytes) {
    const std::span<std::byte> area = arena.take(bytes, kAlignment);
    if (area.empty()) panic("not enough memory for rings");
    std::memset(area.data(), 0, bytes);
    return area.data();
  };
  descriptors_ = reinterpret_cast<Descriptor*>(zeroed(std::size_t{size} * sizeof(Descriptor)));
  driver_event_ = reinterpret_cast<std::uint32_t*>(zeroed(kAlignment));
  device_event_ = reinterpret_cast<std::uint32_t*>(zeroed(kAlignment));
  packets_ = arena.make_array<PacketBuffer*>(size);
  if (packets_.empty()) panic("not enough memory for rings");
  *driver_event_ = std::uint32_t{kEventDisable} << 16;
}

}  // namespace patchbay::router::guest
