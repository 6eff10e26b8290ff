#include "devices/virtio/split_ring.h"

#include <algorithm>
#include <bit>

namespace patchbay::devices::virtio {

RingError SplitRing::enable(const GuestMemory& memory, const RingSetup& setup) noexcept {
  disable();
  // 2.7: "Queue Size ... is always a power of 2. The maximum Queue Size value is 32768".
  if (!std::has_single_bit(setup.size) || setup.size > kMaxSize) return error_ = RingError::bad_size;
  if (setup.descriptors % 16 != 0 || setup.driver_area % 2 != 0 || setup.device_area % 4 != 0) {
    return error_ = RingError::misaligned_ring;
  }
  // The event fields count even where the feature is off: 2.7 gives these sizes without a condition.
  descriptors_ = memory.translate(setup.descriptors, descriptor_table_bytes(setup.size));
  avail_ = memory.translate(setup.driver_area, avail_bytes(setup.size));
  used_ = memory.translate(setup.device_area, used_bytes(setup.size));
  if (descriptors_ == nullptr || avail_ == nullptr || used_ == nullptr) {
    disable();
    return error_ = RingError::unmapped_ring;
  }
  buffers_.bind(memory);
  size_ = setup.size;
  mask_ = static_cast<std::uint16_t>(setup.size - 1);
  event_index_ = setup.event_index;
  indirect_ = setup.indirect;
  if (setup.resume) {
    next_avail_ = seen_avail_ = setup.next_avail;
    next_used_ = used_index_ = load_relaxed(used_ + kUsedIndex);
  }
  return RingError::none;
}

void SplitRing::disable() noexcept {
  *this = SplitRing();
}

PopStatus SplitRing::fail(RingError error) noexcept {
  error_ = error;
  return PopStatus::broken;
}

PopStatus SplitRing::walk(SplitDescriptor descriptor, SegmentList& list, Chain& chain) noexcept {
  const std::byte* table = descriptors_;
  std::uint32_t entries = size_;
  std::uint32_t visited = 1;
  bool in_indirect = false;
  bool overlong = false;
  // 2.7.5.3.1: a chain is not longer than the queue. Linux exceeds that with indirect tables on small queues,
  // hence the allowance; the bound on the work per chain is what matters.
  const auto limit = [&] {
    return in_indirect ? std::min(entries, std::max<std::uint32_t>(size_, SegmentList::kCapacity)) : entries;
  };

  for (;;) {
    if ((descriptor.flags & SplitDescriptor::kIndirect) != 0) {
      if (!indirect_ || in_indirect) return fail(RingError::indirect_unexpected);
      if ((descriptor.flags & SplitDescriptor::kNext) != 0) return fail(RingError::indirect_with_next);
      if (descriptor.length == 0 || descriptor.length % sizeof(SplitDescriptor) != 0) {
        return fail(RingError::indirect_length);
      }
      // 2.7.5.3.2: the WRITE flag of the descriptor that refers to the table is ignored.
      table = buffers_.translate(descriptor.address, descriptor.length);
      if (table == nullptr) return fail(RingError::unmapped_table);
      entries = static_cast<std::uint32_t>(descriptor.length / sizeof(SplitDescriptor));
      in_indirect = true;
      visited = 1;
      descriptor = copy_descriptor(table, 0);
      continue;
    }

    const bool writable = (descriptor.flags & SplitDescriptor::kWrite) != 0;
    if (!writable && chain.writable != 0) return fail(RingError::wrong_order);
    if (descriptor.length != 0) {
      std::byte* const data = buffers_.translate(descriptor.address, descriptor.length);
      if (data == nullptr) return fail(RingError::unmapped_buffer);
      if (list.full()) {
        overlong = true;
      } else {
        list.append(data, descriptor.length);
        ++(writable ? chain.writable : chain.readable);
        (writable ? chain.writable_bytes : chain.readable_bytes) += descriptor.length;
      }
    }

    if ((descriptor.flags & SplitDescriptor::kNext) == 0) break;
    if (descriptor.next >= entries) return fail(RingError::bad_next);
    if (visited == limit()) {
      if (visited == entries) return fail(RingError::loop);
      overlong = true;  // a huge indirect table: not worth the walk
      break;
    }
    ++visited;
    descriptor = copy_descriptor(table, descriptor.next);
  }
  ++next_avail_;
  return overlong ? PopStatus::overlong : PopStatus::chain;
}

bool SplitRing::enable_notifications() noexcept {
  if (!enabled()) return false;
  if (event_index_) {
    index(used_ + used_avail_event(size_)).store(next_avail_, std::memory_order_seq_cst);
  } else {
    index(used_ + kUsedFlags).store(0, std::memory_order_seq_cst);
  }
  // Second half of the handshake: a chain made available before the driver saw our request.
  return available(std::memory_order_seq_cst) != 0;
}

void SplitRing::disable_notifications() noexcept {
  if (!enabled()) return;
  // With event indices the stale avail_event is enough: the driver passes it once in 65536 chains.
  if (!event_index_) index(used_ + kUsedFlags).store(kUsedNoNotify, std::memory_order_relaxed);
}

}  // namespace patchbay::devices::virtio
