#include "devices/virtio/packed_ring.h"

#include <algorithm>
#include <cstring>

#include "devices/virtio/packed_used_record.h"

namespace patchbay::devices::virtio {
namespace {

template <typename T>
std::atomic_ref<T> shared(std::byte* address) noexcept {
  return std::atomic_ref<T>(*reinterpret_cast<T*>(address));
}

}  // namespace

RingError PackedRing::enable(const GuestMemory& memory, const RingSetup& setup) noexcept {
  disable();
  // 2.8.10.1: any size, unlike a split ring's.
  if (setup.size == 0 || setup.size > kMaxSize) return error_ = RingError::bad_size;
  if (setup.descriptors % 16 != 0 || setup.driver_area % 4 != 0 || setup.device_area % 4 != 0) {
    return error_ = RingError::misaligned_ring;
  }
  descriptors_ = memory.translate(setup.descriptors, sizeof(PackedDescriptor) * setup.size);
  driver_event_ = memory.translate(setup.driver_area, kPackedEventBytes);
  device_event_ = memory.translate(setup.device_area, kPackedEventBytes);
  if (descriptors_ == nullptr || driver_event_ == nullptr || device_event_ == nullptr) {
    disable();
    return error_ = RingError::unmapped_ring;
  }
  buffers_.bind(memory);
  size_ = setup.size;
  event_index_ = setup.event_index;
  indirect_ = setup.indirect;
  in_order_ = setup.in_order;
  only_read_ = setup.only_read;
  used_record_ = setup.used_record;
  if (setup.resume) {
    avail_at_ = used_at_ = static_cast<std::uint16_t>(setup.next_avail & ~kPackedWrap);
    avail_wrap_ = used_wrap_ = (setup.next_avail & kPackedWrap) != 0;
    if (avail_at_ >= size_) {
      disable();
      return error_ = RingError::bad_head;
    }
  }
  return RingError::none;
}

void PackedRing::disable() noexcept {
  size_ = 0;
  avail_at_ = used_at_ = 0;
  avail_wrap_ = used_wrap_ = true;
  in_hand_ = popped_ = completed_ = flushed_ = 0;
  error_ = RingError::none;
  used_record_ = nullptr;
}

std::uint16_t PackedRing::available() noexcept {
  if (size_ == 0 || error_ != RingError::none) return 0;
  return next_is_available(std::memory_order_acquire) ? size_ : std::uint16_t{0};
}

PopStatus PackedRing::fail(RingError error) noexcept {
  error_ = error;
  return PopStatus::broken;
}

PopStatus PackedRing::pop(SegmentList& list, Chain& chain) noexcept {
  if (error_ != RingError::none) return PopStatus::broken;
  if (size_ == 0 || !next_is_available(std::memory_order_acquire)) return PopStatus::empty;
  // The lap is full of chains we hold: the driver made descriptors available that are not its own.
  if (in_hand_ == size_) [[unlikely]]
    return fail(RingError::index_jump);
  chain = Chain{};
  return walk(copy_descriptor(descriptor(avail_at_)), list, chain);
}

RingError PackedRing::add(const PackedDescriptor& descriptor, SegmentList& list, Chain& chain,
                          bool& overlong) noexcept {
  const bool writable = (descriptor.flags & PackedDescriptor::kWrite) != 0;
  if (!writable && chain.writable != 0) return RingError::wrong_order;
  if (descriptor.length == 0) return RingError::none;
  std::byte* const data = buffers_.translate(descriptor.address, descriptor.length);
  if (data == nullptr) return RingError::unmapped_buffer;
  if (list.full()) {
    overlong = true;
    return RingError::none;
  }
  list.append(data, descriptor.length);
  ++(writable ? chain.writable : chain.readable);
  (writable ? chain.writable_bytes : chain.readable_bytes) += descriptor.length;
  return RingError::none;
}

PopStatus PackedRing::walk(PackedDescriptor current, SegmentList& list, Chain& chain) noexcept {
  bool overlong = false;
  std::uint16_t count = 1;
  std::uint16_t at = avail_at_;
  for (;;) {
    if ((current.flags & PackedDescriptor::kIndirect) != 0) {
      // 2.8.8: "the driver MUST NOT ... INDIRECT and NEXT"; a table stands alone.
      if (!indirect_) return fail(RingError::indirect_unexpected);
      if ((current.flags & PackedDescriptor::kNext) != 0 || count != 1) {
        return fail(RingError::indirect_with_next);
      }
      if (current.length == 0 || current.length % sizeof(PackedDescriptor) != 0) {
        return fail(RingError::indirect_length);
      }
      const std::byte* const table = buffers_.translate(current.address, current.length);
      if (table == nullptr) return fail(RingError::unmapped_table);
      const std::size_t entries = current.length / sizeof(PackedDescriptor);
      for (std::size_t i = 0; i < entries && !overlong; ++i) {
        // Of the flags in a table only WRITE counts (2.8.7).
        PackedDescriptor entry = copy_descriptor(table + sizeof(PackedDescriptor) * i);
        // DPDK's net_virtio (22.11 and later) marks the header of every frame in several pieces as writable.
        // The specification only says that a device SHOULD NOT read a device-writable buffer; where nothing
        // is ever written, the mark means nothing.
        if (only_read_) entry.flags &= static_cast<std::uint16_t>(~PackedDescriptor::kWrite);
        if ((entry.flags & PackedDescriptor::kIndirect) != 0) return fail(RingError::indirect_unexpected);
        if (i == SegmentList::kCapacity) {
          overlong = true;  // a huge table of empty elements: not worth the walk
          break;
        }
        if (const RingError error = add(entry, list, chain, overlong); error != RingError::none)
          return fail(error);
      }
      chain.id = current.id;
      break;
    }
    if (const RingError error = add(current, list, chain, overlong); error != RingError::none)
      return fail(error);
    if ((current.flags & PackedDescriptor::kNext) == 0) {
      chain.id = current.id;  // 2.8.6: the id stands in the last descriptor of a list
      break;
    }
    // 2.8.5: "... no longer than the queue size"; and it may not run into chains that we hold.
    if (count == size_ - in_hand_) return fail(RingError::loop);
    ++count;
    at = at + 1 == size_ ? std::uint16_t{0} : static_cast<std::uint16_t>(at + 1);
    current = copy_descriptor(descriptor(at));
  }
  take(count);
  return overlong ? PopStatus::overlong : PopStatus::chain;
}

void PackedRing::rewind(const Mark& mark) noexcept {
  avail_at_ = mark.avail_at;
  avail_wrap_ = mark.avail_wrap;
  // Not what was in hand at the mark: a flush since then gave back chains that were completed before it.
  in_hand_ = static_cast<std::uint16_t>(avail_at_ - used_at_ + (avail_wrap_ == used_wrap_ ? 0 : size_));
  popped_ = mark.popped;
  completed_ = mark.completed;
}

bool PackedRing::flush(std::uint16_t end) noexcept {
  if (end == flushed_) return false;
  const std::uint16_t first_at = used_at_;
  const std::uint16_t before = used_position();
  // Copies, which stay in registers: for all the compiler knows, what is written below could change the
  // members.
  std::byte* const table = descriptors_;
  const std::size_t size = size_;
  const bool in_order = in_order_;
  std::size_t at = used_at_;
  bool wrap = used_wrap_;
  std::uint16_t first_flags = 0;
  std::size_t descriptors = 0;
  for (std::uint16_t i = flushed_; i != end;) {
    std::byte* const entry = table + sizeof(PackedDescriptor) * at;
    // 2.8.12.2: WRITE tells that the length counts.
    const std::uint32_t bytes = staged_[i % kMaxSize].bytes;
    const auto flags =
        static_cast<std::uint16_t>(used_flags(wrap) | (bytes != 0 ? PackedDescriptor::kWrite : 0));
    std::size_t length = lengths_[i % kMaxSize];
    std::uint16_t last = i++;
    if (in_order && bytes == 0) {
      for (; i != end && staged_[i % kMaxSize].bytes == 0; last = i++)
        length += lengths_[i % kMaxSize];
    }
    std::memcpy(entry + kPackedLength, &bytes, sizeof bytes);
    const auto id = static_cast<std::uint16_t>(staged_[last % kMaxSize].id);
    std::memcpy(entry + kPackedId, &id, sizeof id);
    if (descriptors == 0) {
      first_flags = flags;
    } else {
      shared<std::uint16_t>(entry + kPackedFlags).store(flags, std::memory_order_release);
    }
    descriptors += length;
    at += length;
    if (at >= size) {
      at -= size;
      wrap = !wrap;
    }
  }
  used_at_ = static_cast<std::uint16_t>(at);
  used_wrap_ = wrap;
  flushed_ = end;
  in_hand_ = static_cast<std::uint16_t>(in_hand_ - descriptors);
  if (used_record_ != nullptr) store_record(PackedUsedRecord::moving(before, used_position()), used_record_);
  shared<std::uint16_t>(descriptor(first_at) + kPackedFlags).store(first_flags, std::memory_order_seq_cst);
  if (used_record_ != nullptr) store_record(PackedUsedRecord::settled(used_position()), used_record_);

  const std::uint32_t event = shared<std::uint32_t>(driver_event_).load(std::memory_order_seq_cst);
  const auto position = static_cast<std::uint16_t>(event);
  switch (event >> 16 & 3) {
    case kPackedEventEnable:
      return true;
    case kPackedEventAt: {
      if (!event_index_) return true;
      auto asked = static_cast<std::uint16_t>(position & ~kPackedWrap);
      if (((position & kPackedWrap) != 0) != used_wrap_) asked = static_cast<std::uint16_t>(asked - size_);
      const auto passed = static_cast<std::uint16_t>(used_at_ - asked - 1);
      return passed < descriptors;
    }
    default:
      return false;
  }
}

bool PackedRing::enable_notifications() noexcept {
  if (!enabled()) return false;
  const std::uint16_t flags = event_index_ ? kPackedEventAt : kPackedEventEnable;
  shared<std::uint32_t>(device_event_)
      .store(std::uint32_t{position()} | std::uint32_t{flags} << 16, std::memory_order_seq_cst);
  // Second half of the handshake: a chain made available before the driver saw our request.
  return error_ == RingError::none && next_is_available(std::memory_order_seq_cst);
}

void PackedRing::disable_notifications() noexcept {
  if (!enabled()) return;
  shared<std::uint32_t>(device_event_)
      .store(std::uint32_t{kPackedEventDisable} << 16, std::memory_order_relaxed);
}

}  // namespace patchbay::devices::virtio
