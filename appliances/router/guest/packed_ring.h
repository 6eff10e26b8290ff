// The driver's side of a packed virtqueue (Virtio 1.2, 2.8) with VIRTIO_F_EVENT_IDX and VIRTIO_F_IN_ORDER,
// for chains of one descriptor each: all that a NIC needs whose buffers hold whole frames.
//
// Descriptors and completions share one ring, so a burst costs each side few cache misses: four descriptors a
// line, and no index. Buffers come back in the order in which they were given (2.8.9), so a buffer's id is
// its place in the ring, and one used descriptor may stand for all before it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "appliances/router/core/arena.h"
#include "appliances/router/core/packet.h"

namespace patchbay::router::guest {

class PackedRing {
 public:
  /// What the device has finished with.
  struct Used {
    PacketBuffer* packet;  // as given to add()
    std::uint32_t length;  // bytes the device wrote
  };
  enum class Direction : std::uint16_t { to_device = 0, from_device = 2 };  // VIRTQ_DESC_F_WRITE

  /// `size`: at most 32768. Panics if `arena` is too small.
  PackedRing(Arena& arena, std::uint16_t size, Direction direction) noexcept;
  PackedRing(const PackedRing&) = delete;
  PackedRing& operator=(const PackedRing&) = delete;

  [[nodiscard]] std::uint16_t size() const noexcept { return size_; }
  [[nodiscard]] const void* descriptor_area() const noexcept { return descriptors_; }
  [[nodiscard]] const void* driver_area() const noexcept { return driver_event_; }
  [[nodiscard]] const void* device_area() const noexcept { return device_event_; }

  /// Buffers that may be added.
  [[nodiscard]] std::uint16_t free() const noexcept { return free_; }

  /// Hands `length` bytes at `data`, which belong to `packet`, to the device, which does not see them before
  /// publish(). Precondition: free() > 0.
  void add(PacketBuffer* packet, const std::byte* data, std::uint32_t length) noexcept {
    Descriptor& descriptor = descriptors_[next_];
    packets_[next_] = packet;
    descriptor.address = reinterpret_cast<std::uintptr_t>(data);
    descriptor.length = length;
    descriptor.id = next_;
    // The device stops at the first descriptor that is not available, so only that one's flags have to wait.
    if (unpublished_++ != 0) {
      std::atomic_ref(descriptor.flags).store(available_flags(), std::memory_order_release);
    } else {
      first_ = next_;
      first_flags_ = available_flags();
    }
    --free_;
    if (++next_ == size_) {
      next_ = 0;
      lap_ ^= kBothLaps;
    }
  }

  /// Shows the device what was added. Returns true if it wants to be notified (2.8.7).
  [[nodiscard]] bool publish() noexcept {
    if (unpublished_ == 0) return false;
    std::atomic_ref(descriptors_[first_].flags).store(first_flags_, std::memory_order_release);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const std::uint32_t event = std::atomic_ref(*device_event_).load(std::memory_order_relaxed);
    const std::uint16_t added = unpublished_;
    unpublished_ = 0;
    const auto mode = static_cast<std::uint16_t>(event >> 16 & 3);
    if (mode != kEventAtDescriptor) return mode == kEventEnable;
    const auto asked = static_cast<std::uint16_t>(event & ~kWrapBit);
    const bool asked_wrap = (event & kWrapBit) != 0;
    const auto behind = static_cast<std::uint16_t>(next_ + (asked_wrap == wrap() ? 0 : size_) - asked - 1);
    return behind < added;
  }

  /// Takes back up to used.size() buffers; returns how many.
  [[nodiscard]] std::size_t collect(std::span<Used> used) noexcept {
    if (armed_) [[unlikely]] {
      armed_ = false;
      std::atomic_ref(*driver_event_).store(std::uint32_t{kEventDisable} << 16, std::memory_order_relaxed);
    }
    std::size_t count = 0;
    for (; count < used.size(); ++count) {
      if (batch_ == 0 && !find_batch()) break;
      used[count] = {packets_[used_at_], --batch_ == 0 ? last_length_ : 0};
      ++free_;
      if (++used_at_ == size_) {
        used_at_ = 0;
        used_lap_ ^= kBothLaps;
      }
    }
    return count;
  }

  /// True if collect() would find a buffer.
  [[nodiscard]] bool waiting() const noexcept {
    return batch_ != 0 || (std::atomic_ref(descriptors_[used_at_].flags).load(std::memory_order_acquire) &
                           kBothLaps) == used_lap_;
  }

  /// Asks for an interrupt message when `count` buffers, counted from the next to be collected, are back;
  /// precondition: so many are with the device. Returns true if any is already: collect, and ask again. The
  /// request lapses with the next collect().
  [[nodiscard]] bool enable_notification(std::uint16_t count = 1) noexcept {
    std::uint32_t at = std::uint32_t{used_at_} + count - 1;
    bool wrap = used_lap_ != 0;
    if (at >= size_) {
      at -= size_;
      wrap = !wrap;
    }
    armed_ = true;
    const std::uint32_t event = at | (wrap ? kWrapBit : 0U) | std::uint32_t{kEventAtDescriptor} << 16;
    std::atomic_ref(*driver_event_).store(event, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return waiting();
  }

 private:
  struct Descriptor {
    std::uint64_t address;
    std::uint32_t length;
    std::uint16_t id;
    std::uint16_t flags;
  };
  static_assert(sizeof(Descriptor) == 16);

  // Flags of descriptors (2.8.1): in one lap available is AVAIL and used both, in the next USED and neither.
  static constexpr std::uint16_t kAvail = 1 << 7;
  static constexpr std::uint16_t kUsed = 1 << 15;
  static constexpr std::uint16_t kBothLaps = kAvail | kUsed;
  // struct pvirtq_event_suppress (2.8.14): position with wrap counter, then flags.
  static constexpr std::uint32_t kWrapBit = 1 << 15;
  static constexpr std::uint16_t kEventEnable = 0;
  static constexpr std::uint16_t kEventDisable = 1;
  static constexpr std::uint16_t kEventAtDescriptor = 2;

  [[nodiscard]] bool wrap() const noexcept { return lap_ != 0; }
  [[nodiscard]] std::uint16_t available_flags() const noexcept {
    return static_cast<std::uint16_t>(direction_ | (wrap() ? kAvail : kUsed));
  }
  /// Reads the next used descriptor; false if there is none.
  [[nodiscard]] bool find_batch() noexcept {
    if (!waiting()) return false;
    const Descriptor& descriptor = descriptors_[used_at_];
    const std::uint16_t last = descriptor.id < size_ ? descriptor.id : used_at_;
    batch_ = static_cast<std::uint16_t>((last >= used_at_ ? last : last + size_) - used_at_ + 1);
    last_length_ = descriptor.length;
    return true;
  }

  std::uint16_t size_;
  std::uint16_t direction_;
  std::uint16_t free_;
  std::uint16_t next_ = 0;         // where the next buffer goes
  std::uint16_t lap_ = kBothLaps;  // of next_: all bits if its wrap counter is 1, none if it is 0
  std::uint16_t unpublished_ = 0;  // buffers added since publish()
  std::uint16_t first_ = 0;        // of them
  std::uint16_t first_flags_ = 0;  // what publish() stores there
  std::uint16_t used_at_ = 0;      // the next buffer to come back
  std::uint16_t used_lap_ = kBothLaps;
  std::uint16_t batch_ = 0;  // buffers from used_at_ on that are known to be back
  bool armed_ = false;
  std::uint32_t last_length_ = 0;  // of the last of them
  Descriptor* descriptors_;
  std::uint32_t* driver_event_;
  std::uint32_t* device_event_;
  std::span<PacketBuffer*> packets_;  // by place in the ring
};

}  // namespace patchbay::router::guest
