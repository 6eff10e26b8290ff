#include "appliances/router/guest/buffer_pool.h"

#include "appliances/router/guest/panic.h"

namespace patchbay::router::guest {

BufferPool::BufferPool(Arena& arena, std::size_t count, std::size_t frame_bytes) noexcept
    : frame_bytes_(frame_bytes), free_(arena.make_array<PacketBuffer*>(count)) {
  const auto packets = arena.make_array<PacketBuffer>(count);
  const std::size_t stride = (kHeadroom + frame_bytes + kAlignment - 1) / kAlignment * kAlignment;
  const auto memory = arena.take(count * stride, kAlignment);
  if (free_.empty() || packets.empty() || memory.empty()) panic("not enough memory for packet buffers");
  for (std::size_t i = count; i-- > 0;) {
    packets[i].buffer = memory.data() + i * stride + kHeadroom;
    packets[i].capacity = static_cast<std::uint32_t>(frame_bytes);
    give(&packets[i]);
  }
}

}  // namespace patchbay::router::guest
