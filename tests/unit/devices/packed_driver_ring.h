// Driver side of a packed virtqueue (Virtio 1.2, 2.8) for unit tests and fuzz targets: the sibling of
// DriverRing. The well-behaved calls come first; those below "hostile" write what no driver may write.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <optional>
#include <span>
#include <stdexcept>
#include <vector>

#include "devices/virtio/packed_layout.h"
#include "devices/virtio/ring.h"
#include "tests/unit/devices/driver_ring.h"
#include "tests/unit/devices/guest_ram.h"

namespace patchbay::devices::testing {

class PackedDriverRing {
 public:
  using Buffer = DriverRing::Buffer;
  using Used = DriverRing::Used;

  PackedDriverRing(GuestRam& ram, std::uint16_t size, bool event_index = false)
      : ram_(&ram),
        size_(size),
        event_index_(event_index),
        descriptors_(ram.allocate(16U * size, 16)),
        driver_event_(ram.allocate(4, 64)),
        device_event_(ram.allocate(4, 64)),
        lengths_(size) {
    for (std::uint16_t id = size; id > 0; --id)
      free_ids_.push_back(static_cast<std::uint16_t>(id - 1));
    free_ = size;
  }

  [[nodiscard]] virtio::RingSetup setup() const {
    return {.size = size_,
            .descriptors = descriptors_,
            .driver_area = driver_event_,
            .device_area = device_event_,
            .event_index = event_index_,
            .indirect = true,
            .packed = true};
  }
  [[nodiscard]] std::uint16_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t free_descriptors() const noexcept { return free_; }

  /// Makes a chain available at once; nothing if there is no place. Returns its buffer id.
  std::optional<std::uint16_t> add(std::span<const Buffer> buffers) {
    if (buffers.size() > free_ || free_ids_.empty()) return std::nullopt;
    const std::uint16_t id = free_ids_.back();
    free_ids_.pop_back();
    lengths_[id] = static_cast<std::uint16_t>(buffers.size());
    free_ -= buffers.size();
    outstanding_.push_back(id);
    const std::uint16_t first = next_;
    std::uint16_t first_flags = 0;
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      const bool last = i + 1 == buffers.size();
      virtio::PackedDescriptor descriptor{buffers[i].address, buffers[i].length, id, 0};
      descriptor.flags = static_cast<std::uint16_t>(
          virtio::available_flags(wrap_) | (buffers[i].writable ? virtio::PackedDescriptor::kWrite : 0) |
          (last ? 0 : virtio::PackedDescriptor::kNext));
      if (i == 0) {
        first_flags = descriptor.flags;
        descriptor.flags = flags(first).load();  // not yet available
      }
      ram_->store(descriptors_ + 16U * next_, descriptor);
      if (++next_ == size_) {
        next_ = 0;
        wrap_ = !wrap_;
      }
    }
    flags(first).store(first_flags, std::memory_order_seq_cst);
    return id;
  }
  std::optional<std::uint16_t> add(std::initializer_list<Buffer> buffers) {
    return add(std::span(buffers.begin(), buffers.size()));
  }
  /// As add(), in an indirect table, for which it takes fresh memory.
  std::optional<std::uint16_t> add_indirect(std::span<const Buffer> buffers) {
    const std::uint64_t table = ram_->allocate(16 * buffers.size(), 16);
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      ram_->store(table + 16 * i,
                  virtio::PackedDescriptor{
                      buffers[i].address, buffers[i].length, 0,
                      buffers[i].writable ? virtio::PackedDescriptor::kWrite : std::uint16_t{0}});
    }
    const std::uint16_t at = next_;
    const bool wrap = wrap_;
    const auto id = add({{table, static_cast<std::uint32_t>(16 * buffers.size())}});
    if (id) {
      flags(at).store(
          static_cast<std::uint16_t>(virtio::available_flags(wrap) | virtio::PackedDescriptor::kIndirect));
    }
    return id;
  }
  /// Whether the device wants to hear of the chains added since the last call (2.8.7).
  [[nodiscard]] bool wants_kick() {
    const unsigned added = (position() + 2U * size_ - kicked_) % (2U * size_);
    kicked_ = position();
    const auto event = ram_->load<std::uint32_t>(device_event_);
    if ((event >> 16 & 3) == virtio::kPackedEventAt) {
      const auto asked = static_cast<std::uint16_t>(event & 0x7FFF);
      const bool asked_wrap = (event & 0x8000) != 0;
      auto distance = static_cast<std::uint16_t>(next_ - asked - 1);
      if (asked_wrap != wrap_) distance = static_cast<std::uint16_t>(distance + size_);
      return distance < added;
    }
    return (event >> 16 & 3) == virtio::kPackedEventEnable;
  }

  /// Takes back the next used chain. One that the device marked used stands for those before it, too: their
  /// length is 0.
  std::optional<Used> poll() {
    if (batch_ == 0) {
      constexpr unsigned kBoth = unsigned{virtio::PackedDescriptor::kAvail} | virtio::PackedDescriptor::kUsed;
      if ((flags(used_).load(std::memory_order_acquire) & kBoth) != virtio::used_flags(used_wrap_))
        return std::nullopt;
      last_ = ram_->load<virtio::PackedDescriptor>(descriptors_ + 16U * used_);
      const auto found = std::find(outstanding_.begin(), outstanding_.end(), last_.id);
      if (found == outstanding_.end())
        throw std::logic_error("the device used a buffer that it did not have");
      batch_ = static_cast<std::size_t>(found - outstanding_.begin()) + 1;
    }
    const std::uint16_t id = outstanding_.front();
    outstanding_.pop_front();
    used_ = static_cast<std::uint16_t>(used_ + lengths_[id]);
    if (used_ >= size_) {
      used_ = static_cast<std::uint16_t>(used_ - size_);
      used_wrap_ = !used_wrap_;
    }
    free_ += lengths_[id];
    free_ids_.insert(free_ids_.begin(), id);
    return Used{id, --batch_ == 0 ? last_.length : 0};
  }
  void enable_interrupts() {
    const std::uint16_t at = static_cast<std::uint16_t>(used_ | (used_wrap_ ? 0x8000 : 0));
    ram_->store(driver_event_, std::uint32_t{at} | (event_index_ ? 2U << 16 : 0U));
  }
  void disable_interrupts() { ram_->store(driver_event_, std::uint32_t{1} << 16); }

  // --- hostile ---------------------------------------------------------------------------------------------
  void set_descriptor(std::uint16_t i, const virtio::PackedDescriptor& descriptor) {
    ram_->store(descriptors_ + 16U * i, descriptor);
  }
  [[nodiscard]] virtio::PackedDescriptor descriptor(std::uint16_t i) const {
    return ram_->load<virtio::PackedDescriptor>(descriptors_ + 16U * i);
  }

 private:
  [[nodiscard]] std::atomic_ref<std::uint16_t> flags(std::uint16_t i) const {
    return std::atomic_ref<std::uint16_t>(
        *reinterpret_cast<std::uint16_t*>(ram_->at(descriptors_ + 16U * i + virtio::kPackedFlags)));
  }
  /// Of 2 * size: the lap's parity and the place in it.
  [[nodiscard]] std::uint16_t position() const {
    return static_cast<std::uint16_t>(next_ + (wrap_ ? 0 : size_));
  }

  GuestRam* ram_;
  std::uint16_t size_;
  bool event_index_;
  std::uint64_t descriptors_, driver_event_, device_event_;
  std::vector<std::uint16_t> lengths_;  // by buffer id
  std::vector<std::uint16_t> free_ids_;
  std::deque<std::uint16_t> outstanding_;  // ids, as added
  std::size_t batch_ = 0;                  // of outstanding_: used, not yet polled
  virtio::PackedDescriptor last_;          // of the batch
  std::size_t free_ = 0;
  std::uint16_t next_ = 0, used_ = 0, kicked_ = 0;
  bool wrap_ = true, used_wrap_ = true;
};

}  // namespace patchbay::devices::testing
