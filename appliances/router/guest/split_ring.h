// The driver's side of a split virtqueue (Virtio 1.2, 2.7) with VIRTIO_F_EVENT_IDX, for chains of one
// descriptor each: all that a NIC needs whose buffers hold whole frames. A packed ring would be a sibling
// with the same members.
//
// What the device reads is written as seldom as possible, for each write costs it a cache miss: descriptors
// are reused in the order in which they came back, so with a device that completes in order the available
// ring's entries never change.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "appliances/router/core/arena.h"
#include "appliances/router/core/packet.h"

namespace patchbay::router::guest {

class SplitRing {
 public:
  /// What the device has finished with.
  struct Used {
    PacketBuffer* packet;  // as given to add()
    std::uint32_t length;  // bytes the device wrote
  };
  enum class Direction : std::uint16_t { to_device = 0, from_device = 2 };  // VIRTQ_DESC_F_WRITE

  /// `size`: a power of two, at most 32768. Panics if `arena` is too small.
  SplitRing(Arena& arena, std::uint16_t size, Direction direction) noexcept;
  SplitRing(const SplitRing&) = delete;
  SplitRing& operator=(const SplitRing&) = delete;

  [[nodiscard]] std::uint16_t size() const noexcept { return size_; }
  [[nodiscard]] const void* descriptor_area() const noexcept { return descriptors_; }
  [[nodiscard]] const void* driver_area() const noexcept { return driver_area_; }
  [[nodiscard]] const void* device_area() const noexcept { return device_area_; }

  /// Buffers that may be added.
  [[nodiscard]] std::uint16_t free() const noexcept {
    return static_cast<std::uint16_t>(size_ - (next_available_ - last_used_));
  }

  /// Hands `length` bytes at `data`, which belong to `packet`, to the device, which does not see them before
  /// publish(). Precondition: free() > 0.
  void add(PacketBuffer* packet, const std::byte* data, std::uint32_t length) noexcept {
    const std::uint16_t slot = next_available_++ & mask_;
    const std::uint16_t id = ids_[slot];
    packets_[id] = packet;
    Descriptor& descriptor = descriptors_[id];
    descriptor.address = reinterpret_cast<std::uintptr_t>(data);
    if (descriptor.length != length) descriptor.length = length;
    if (available_ring_[slot] != id) available_ring_[slot] = id;
  }

  /// Shows the device what was added. Returns true if it wants to be notified (2.7.10).
  [[nodiscard]] bool publish() noexcept {
    if (next_available_ == published_) return false;
    const std::uint16_t old = published_;
    published_ = next_available_;
    std::atomic_ref(*available_index_).store(published_, std::memory_order_release);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const std::uint16_t event = std::atomic_ref(*available_event_).load(std::memory_order_relaxed);
    return passed(event, published_, old);
  }

  /// Takes back up to used.size() buffers; returns how many.
  [[nodiscard]] std::size_t collect(std::span<Used> used) noexcept {
    std::size_t count = waiting();
    if (count > used.size()) count = used.size();
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint16_t slot = last_used_ & mask_;
      const UsedElement& element = used_ring_[slot];
      const auto id = static_cast<std::uint16_t>(element.id & mask_);
      used[i] = {packets_[id], element.length};
      ids_[slot] =
          id;  // the slot after last_used_ + size_ - 1 is this one: its next use takes this descriptor
      ++last_used_;
    }
    return count;
  }

  /// Buffers that collect() would find.
  [[nodiscard]] std::uint16_t waiting() const noexcept {
    return static_cast<std::uint16_t>(std::atomic_ref(*used_index_).load(std::memory_order_acquire) -
                                      last_used_);
  }

  /// Asks for an interrupt message when `count` buffers, counted from the next to be collected, are back.
  /// Returns true if they are already. The request lapses with the message; there is nothing to take back.
  [[nodiscard]] bool enable_notification(std::uint16_t count = 1) noexcept {
    const auto event = static_cast<std::uint16_t>(last_used_ + count - 1);
    std::atomic_ref(*used_event_).store(event, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return waiting() >= count;
  }

 private:
  struct Descriptor {
    std::uint64_t address;
    std::uint32_t length;
    std::uint16_t flags;
    std::uint16_t next;
  };
  static_assert(sizeof(Descriptor) == 16);
  struct UsedElement {
    std::uint32_t id;
    std::uint32_t length;
  };
  static_assert(sizeof(UsedElement) == 8);

  /// True if an index moving from `old` to `current` went past `event` (2.7.7.2).
  static constexpr bool passed(std::uint16_t event, std::uint16_t current, std::uint16_t old) noexcept {
    return static_cast<std::uint16_t>(current - event - 1) < static_cast<std::uint16_t>(current - old);
  }

  std::uint16_t size_;
  std::uint16_t mask_;
  std::uint16_t next_available_ = 0;  // free-running
  std::uint16_t published_ = 0;       // the device sees those before
  std::uint16_t last_used_ = 0;       // free-running
  Descriptor* descriptors_;
  std::uint16_t* driver_area_;  // struct virtq_avail: flags, index, ring[size], used_event
  std::uint16_t* available_index_;
  std::uint16_t* available_ring_;
  std::uint16_t* used_event_;
  std::uint16_t* device_area_;  // struct virtq_used: flags, index, ring[size], avail_event
  std::uint16_t* used_index_;
  UsedElement* used_ring_;
  std::uint16_t* available_event_;
  std::span<PacketBuffer*> packets_;  // by descriptor: what it refers to
  std::span<std::uint16_t> ids_;      // by slot of the available ring: the descriptor to use there
};

}  // namespace patchbay::router::guest
