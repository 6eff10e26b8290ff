// Packet buffers of equal size, shared by all NICs: a frame is received into one and, forwarded, sent from
// the same one. Last in, first out, so that the hottest buffers are used again first.
//
// In front of each frame is room for the header that precedes it in a virtio ring; Ethernet, IP and the start
// of the transport header then share the first cache line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "appliances/router/core/arena.h"
#include "appliances/router/core/packet.h"

namespace patchbay::router::guest {

class BufferPool {
 public:
  /// Bytes in front of each frame: struct virtio_net_hdr of a modern device (Virtio 1.2, 5.1.6).
  static constexpr std::size_t kHeadroom = 12;

  /// `count` buffers for frames of up to `frame_bytes`; panics if `arena` is too small.
  BufferPool(Arena& arena, std::size_t count, std::size_t frame_bytes) noexcept;
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  /// What a buffer takes of the arena.
  static constexpr std::size_t bytes_per_buffer(std::size_t frame_bytes) noexcept {
    return (kHeadroom + frame_bytes + kAlignment - 1) / kAlignment * kAlignment + sizeof(PacketBuffer) +
           sizeof(PacketBuffer*);
  }

  [[nodiscard]] std::size_t frame_bytes() const noexcept { return frame_bytes_; }
  [[nodiscard]] bool empty() const noexcept { return available_ == 0; }

  /// A buffer with offset and length 0, or nullptr if all are in use.
  [[nodiscard]] PacketBuffer* take() noexcept {
    if (available_ == 0) return nullptr;
    PacketBuffer* packet = free_[--available_];
    packet->offset = 0;
    packet->length = 0;
    packet->ingress = kNoInterface;
    return packet;
  }
  /// Returns what take() gave.
  void give(PacketBuffer* packet) noexcept { free_[available_++] = packet; }

 private:
  static constexpr std::size_t kAlignment = 64;

  std::size_t frame_bytes_;
  std::size_t available_ = 0;
  std::span<PacketBuffer*> free_;
};

}  // namespace patchbay::router::guest
