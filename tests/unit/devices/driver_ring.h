// Driver side of a split virtqueue (Virtio 1.2, 2.7), the part a guest's operating system plays: for unit
// tests, fuzz targets and benchmarks. The well-behaved calls come first; those below "hostile" write what no
// driver may write.
#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <vector>

#include "devices/virtio/ring.h"
#include "devices/virtio/split_layout.h"
#include "tests/unit/devices/guest_ram.h"

namespace patchbay::devices::testing {

class DriverRing {
 public:
  struct Buffer {
    std::uint64_t address;
    std::uint32_t length;
    bool writable = false;
  };
  struct Used {
    std::uint16_t id;
    std::uint32_t length;
  };

  DriverRing(GuestRam& ram, std::uint16_t size, bool event_index = false)
      : ram_(&ram),
        size_(size),
        event_index_(event_index),
        descriptors_(ram.allocate(virtio::descriptor_table_bytes(size), 16)),
        avail_(ram.allocate(virtio::avail_bytes(size), 64)),
        used_(ram.allocate(virtio::used_bytes(size), 64)),
        links_(size) {
    for (unsigned i = size; i > 0; --i)
      free_.push_back(static_cast<std::uint16_t>(i - 1));
  }

  [[nodiscard]] virtio::RingSetup setup() const {
    return {size_, descriptors_, avail_, used_, event_index_, true};
  }
  [[nodiscard]] std::uint16_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t free_descriptors() const noexcept { return free_.size(); }

  /// Queues a chain; the device sees it after publish(). Nothing if there are too few free descriptors.
  std::optional<std::uint16_t> add(std::span<const Buffer> buffers) {
    if (buffers.size() > free_.size()) return std::nullopt;
    const std::uint16_t head = free_.back();
    std::uint16_t previous = head;
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      const std::uint16_t index = free_.back();
      free_.pop_back();
      if (i != 0) links_[previous] = index;
      const bool last = i + 1 == buffers.size();
      write_descriptor(descriptors_, index, buffers[i], last ? index : free_.back(), !last);
      previous = index;
    }
    links_[previous] = previous;  // end of the chain
    enqueue(head);
    return head;
  }
  std::optional<std::uint16_t> add(std::initializer_list<Buffer> buffers) {
    return add(std::span(buffers.begin(), buffers.size()));
  }

  /// Queues a chain in an indirect table, for which it takes fresh memory.
  std::optional<std::uint16_t> add_indirect(std::span<const Buffer> buffers) {
    const std::uint64_t table = ram_->allocate(16 * buffers.size(), 16);
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      write_descriptor(table, i, buffers[i], static_cast<std::uint16_t>(i + 1), i + 1 < buffers.size());
    }
    const auto head = add({{table, static_cast<std::uint32_t>(16 * buffers.size())}});
    if (head) {
      auto descriptor = ram_->load<virtio::SplitDescriptor>(descriptors_ + 16U * *head);
      descriptor.flags = virtio::SplitDescriptor::kIndirect;
      set_descriptor(*head, descriptor);
    }
    return head;
  }

  /// Makes all queued chains available. True if the device wants to be notified (2.7.10).
  bool publish() {
    const std::uint16_t before = published_;
    if (next_avail_ == before) return false;
    published_ = next_avail_;
    index(avail_ + virtio::kAvailIndex).store(next_avail_, std::memory_order_seq_cst);
    if (event_index_) {
      const std::uint16_t event =
          index(used_ + virtio::used_avail_event(size_)).load(std::memory_order_seq_cst);
      return virtio::event_passed(event, next_avail_, before);
    }
    return (index(used_ + virtio::kUsedFlags).load(std::memory_order_seq_cst) & virtio::kUsedNoNotify) == 0;
  }

  /// Takes back the next used chain.
  std::optional<Used> poll() {
    if (index(used_ + virtio::kUsedIndex).load(std::memory_order_acquire) == next_used_) return std::nullopt;
    const auto element =
        ram_->load<virtio::SplitUsedElement>(used_ + virtio::kUsedRing + 8U * (next_used_ % size_));
    ++next_used_;
    auto i = static_cast<std::uint16_t>(element.id);
    for (;;) {
      free_.push_back(i);
      if (links_[i] == i) break;
      i = links_[i];
    }
    return Used{static_cast<std::uint16_t>(element.id), element.length};
  }

  /// Asks for an interrupt after the next used chain. True if one waits already.
  bool enable_interrupts() {
    if (event_index_) {
      index(avail_ + virtio::avail_used_event(size_)).store(next_used_, std::memory_order_seq_cst);
    } else {
      index(avail_ + virtio::kAvailFlags).store(0, std::memory_order_seq_cst);
    }
    return index(used_ + virtio::kUsedIndex).load(std::memory_order_seq_cst) != next_used_;
  }
  void disable_interrupts() {
    if (event_index_) {
      // As far away as an index can be.
      index(avail_ + virtio::avail_used_event(size_))
          .store(static_cast<std::uint16_t>(next_used_ + 0x8000), std::memory_order_relaxed);
    } else {
      index(avail_ + virtio::kAvailFlags).store(virtio::kAvailNoInterrupt, std::memory_order_relaxed);
    }
  }

  [[nodiscard]] std::uint16_t used_index() const { return load16(used_ + virtio::kUsedIndex); }
  [[nodiscard]] std::uint16_t used_flags() const { return load16(used_ + virtio::kUsedFlags); }
  [[nodiscard]] std::uint16_t avail_event() const { return load16(used_ + virtio::used_avail_event(size_)); }

  // --- hostile ---------------------------------------------------------------------------------------------
  void set_descriptor(std::uint16_t i, const virtio::SplitDescriptor& descriptor) {
    ram_->store(descriptors_ + 16U * i, descriptor);
  }
  [[nodiscard]] virtio::SplitDescriptor descriptor(std::uint16_t i) const {
    return ram_->load<virtio::SplitDescriptor>(descriptors_ + 16U * i);
  }
  /// Makes `head` available, whatever it is.
  void offer(std::uint16_t head) {
    enqueue(head);
    publish();
  }
  void set_avail_index(std::uint16_t value) {
    index(avail_ + virtio::kAvailIndex).store(value, std::memory_order_release);
  }
  void set_used_event(std::uint16_t value) { ram_->store(avail_ + virtio::avail_used_event(size_), value); }

 private:
  std::atomic_ref<std::uint16_t> index(std::uint64_t address) const {
    return std::atomic_ref<std::uint16_t>(*reinterpret_cast<std::uint16_t*>(ram_->at(address)));
  }
  [[nodiscard]] std::uint16_t load16(std::uint64_t address) const {
    return index(address).load(std::memory_order_acquire);
  }
  void enqueue(std::uint16_t head) {
    // Devices look ahead at entries that are not theirs yet.
    index(avail_ + virtio::kAvailRing + 2U * (next_avail_ % size_)).store(head, std::memory_order_relaxed);
    ++next_avail_;
  }
  void write_descriptor(std::uint64_t table, std::size_t i, const Buffer& buffer, std::uint16_t next,
                        bool has_next) {
    virtio::SplitDescriptor descriptor;
    descriptor.address = buffer.address;
    descriptor.length = buffer.length;
    descriptor.flags = static_cast<std::uint16_t>((buffer.writable ? virtio::SplitDescriptor::kWrite : 0) |
                                                  (has_next ? virtio::SplitDescriptor::kNext : 0));
    descriptor.next = next;
    ram_->store(table + 16 * i, descriptor);
  }

  GuestRam* ram_;
  std::uint16_t size_;
  bool event_index_;
  std::uint64_t descriptors_;
  std::uint64_t avail_;
  std::uint64_t used_;
  std::vector<std::uint16_t>
      links_;  // the next descriptor of a chain in the driver's own memory; itself at the end
  std::vector<std::uint16_t> free_;
  std::uint16_t next_avail_ = 0;  // queued
  std::uint16_t published_ = 0;
  std::uint16_t next_used_ = 0;
};

}  // namespace patchbay::devices::testing
