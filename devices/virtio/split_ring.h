// Device side of a split virtqueue (Virtio 1.2, 2.7). Satisfies DeviceRing (ring.h).
//
// The three parts of the ring are translated once, at enable(). Everything the driver writes is read once
// into a local copy and checked there: descriptors may change while we look (2.7.5.3 forbids it; a hostile
// guest does it). A ring that breaks the rules gets a sticky error and is not touched again.
//
// Order between the two sides (2.7.13, 2.7.10):
//   driver: descriptors, ring entry | avail.idx          device: avail.idx (acquire) | ring entry,
//   descriptors device: buffers, used entries | used.idx (release)   driver: used.idx | used entries, buffers
//   used.idx, then used_event; avail_event, then avail.idx: a full fence between store and load. Here both
//   accesses of such a pair are sequentially consistent, which is the same instruction as a fence on x86 and
//   which ThreadSanitizer understands.
//
// Not synchronised: the device's lock covers it. Nothing here throws or allocates.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "devices/guest_memory.h"
#include "devices/virtio/address_cache.h"
#include "devices/virtio/ring.h"
#include "devices/virtio/split_layout.h"

namespace patchbay::devices::virtio {

class SplitRing {
 public:
  /// Largest queue a split ring can have (2.7).
  static constexpr std::uint16_t kMaxSize = 32768;

  /// A position to rewind to.
  struct Mark {
    std::uint16_t next_avail;
    std::uint16_t next_used;
  };

  /// Translates and validates the ring and starts at index 0, or resumes. `memory` must outlive the ring. On
  /// an error the ring is disabled and error() tells why.
  RingError enable(const GuestMemory& memory, const RingSetup& setup) noexcept;
  /// Forgets the ring, its error and its event state.
  void disable() noexcept;

  [[nodiscard]] bool enabled() const noexcept { return size_ != 0; }
  [[nodiscard]] RingError error() const noexcept { return error_; }
  [[nodiscard]] std::uint16_t size() const noexcept { return size_; }

  /// Chains that wait, at most size(); 0 when disabled or broken.
  [[nodiscard]] std::uint16_t available() noexcept { return available(std::memory_order_acquire); }
  /// Takes the next chain and appends its elements to `list`.
  [[nodiscard]] PopStatus pop(SegmentList& list, Chain& chain) noexcept;

  /// Takes chains of one element each; see DeviceRing.
  [[nodiscard]] std::size_t pop_singles(std::span<SingleChain> chains) noexcept;
  void put_back(std::size_t count) noexcept { next_avail_ = static_cast<std::uint16_t>(next_avail_ - count); }

  static void advance(Mark& mark) noexcept { ++mark.next_avail; }

  [[nodiscard]] Mark mark() const noexcept { return {next_avail_, next_used_}; }
  /// RingSetup::next_avail for whoever goes on with the ring. Precondition: nothing is popped or staged.
  [[nodiscard]] std::uint16_t position() const noexcept { return next_avail_; }
  /// Chains popped and entries staged since `mark` are as if they never were. Not across a flush() of such
  /// entries.
  void rewind(Mark mark) noexcept {
    next_avail_ = mark.next_avail;
    next_used_ = mark.next_used;
  }

  /// Stages a used entry for a popped chain. Precondition: enabled.
  void complete(std::uint16_t id, std::uint32_t bytes) noexcept {
    const UsedChain chain{id, bytes};
    std::memcpy(used_ + kUsedRing + sizeof chain * (next_used_ & mask_), &chain, sizeof chain);
    ++next_used_;
  }
  void complete_all(std::span<const UsedChain> chains) noexcept {
    const std::size_t at = next_used_ & mask_;
    const std::size_t before_end = std::min(chains.size(), std::size_t{size_} - at);
    std::memcpy(used_ + kUsedRing + sizeof(UsedChain) * at, chains.data(), sizeof(UsedChain) * before_end);
    if (before_end != chains.size()) [[unlikely]] {
      std::memcpy(used_ + kUsedRing, chains.data() + before_end,
                  sizeof(UsedChain) * (chains.size() - before_end));
    }
    next_used_ = static_cast<std::uint16_t>(next_used_ + chains.size());
  }
  [[nodiscard]] std::uint16_t staged() const noexcept { return next_used_; }
  /// One store of used.idx for all staged entries, or those up to `end`; does nothing if there are none. True
  /// if the driver wants an interrupt (2.7.7, 2.7.8.2).
  [[nodiscard]] bool flush() noexcept { return flush(next_used_); }
  [[nodiscard]] bool flush(std::uint16_t end) noexcept;

  /// Asks the driver to notify us of the next chain. True if one waits already (2.7.10).
  [[nodiscard]] bool enable_notifications() noexcept;
  /// Asks the driver not to bother; a hint (2.7.10).
  void disable_notifications() noexcept;

 private:
  static std::uint16_t load_relaxed(std::byte* address) noexcept {
    return index(address).load(std::memory_order_relaxed);
  }
  static std::atomic_ref<std::uint16_t> index(std::byte* address) noexcept {
    return std::atomic_ref<std::uint16_t>(*reinterpret_cast<std::uint16_t*>(address));
  }
  /// The one read of a descriptor: the compiler may not go back to guest memory for a field it has checked.
  static SplitDescriptor copy_descriptor(const std::byte* table, std::size_t i) noexcept {
    SplitDescriptor descriptor;
    std::memcpy(&descriptor, table + sizeof descriptor * i, sizeof descriptor);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    return descriptor;
  }

  [[nodiscard]] std::uint16_t available(std::memory_order order) noexcept;
  PopStatus fail(RingError error) noexcept;
  PopStatus walk(SplitDescriptor descriptor, SegmentList& list, Chain& chain) noexcept;

  std::uint16_t size_ = 0;  // entries; 0 while disabled
  std::uint16_t mask_ = 0;
  std::uint16_t next_avail_ = 0;  // the cursor
  std::uint16_t seen_avail_ = 0;  // avail.idx as last read
  std::uint16_t next_used_ = 0;   // staged entries included
  std::uint16_t used_index_ = 0;  // as published
  bool event_index_ = false;
  bool indirect_ = false;
  RingError error_ = RingError::none;
  std::byte* descriptors_ = nullptr;
  std::byte* avail_ = nullptr;
  std::byte* used_ = nullptr;
  AddressCache buffers_;
};

inline std::uint16_t SplitRing::available(std::memory_order order) noexcept {
  if (size_ == 0 || error_ != RingError::none) return 0;
  seen_avail_ = index(avail_ + kAvailIndex).load(order);
  const auto waiting = static_cast<std::uint16_t>(seen_avail_ - next_avail_);
  if (waiting > size_) [[unlikely]] {
    fail(RingError::index_jump);
    return 0;
  }
  return waiting;
}

inline PopStatus SplitRing::pop(SegmentList& list, Chain& chain) noexcept {
  if (next_avail_ == seen_avail_ && available() == 0) {
    return error_ == RingError::none ? PopStatus::empty : PopStatus::broken;
  }
  if (error_ != RingError::none) [[unlikely]]
    return PopStatus::broken;
  const std::uint16_t head = load_relaxed(avail_ + kAvailRing + 2U * (next_avail_ & mask_));
  if (head >= size_) [[unlikely]]
    return fail(RingError::bad_head);
  // The chains behind this one will be asked for next; a stale entry costs nothing but the prefetch.
  const std::uint16_t ahead = load_relaxed(avail_ + kAvailRing + 2U * ((next_avail_ + 2U) & mask_));
  __builtin_prefetch(descriptors_ + sizeof(SplitDescriptor) * (ahead & mask_));

  chain = Chain{};
  chain.id = head;
  const SplitDescriptor descriptor = copy_descriptor(descriptors_, head);
  // The common case: one descriptor, or an element followed by others handled out of line.
  if ((descriptor.flags & (SplitDescriptor::kNext | SplitDescriptor::kIndirect)) == 0 &&
      descriptor.length != 0 && !list.full()) [[likely]] {
    std::byte* const data = buffers_.translate(descriptor.address, descriptor.length);
    if (data == nullptr) [[unlikely]]
      return fail(RingError::unmapped_buffer);
    list.append(data, descriptor.length);
    const bool writable = (descriptor.flags & SplitDescriptor::kWrite) != 0;
    (writable ? chain.writable : chain.readable) = 1;
    (writable ? chain.writable_bytes : chain.readable_bytes) = descriptor.length;
    ++next_avail_;
    return PopStatus::chain;
  }
  return walk(descriptor, list, chain);
}

inline std::size_t SplitRing::pop_singles(std::span<SingleChain> chains) noexcept {
  std::size_t waiting = static_cast<std::uint16_t>(seen_avail_ - next_avail_);
  if (waiting < chains.size()) waiting = available();
  if (error_ != RingError::none) [[unlikely]]
    return 0;
  // Copies, which stay in registers: for all the compiler knows, what is written below could change the
  // members.
  const std::size_t mask = mask_;
  const std::byte* const table = descriptors_;
  std::byte* const entries = avail_ + kAvailRing;
  GuestMemory::Region region = buffers_.last();
  std::size_t at = next_avail_;
  SingleChain* next = chains.data();
  SingleChain* const end = next + std::min(waiting, chains.size());
  for (; next != end; ++next, ++at) {
    const std::uint16_t head = load_relaxed(entries + 2U * (at & mask));
    if (head > mask) [[unlikely]]
      break;
    const std::uint16_t ahead = load_relaxed(entries + 2U * ((at + 8U) & mask));
    __builtin_prefetch(table + sizeof(SplitDescriptor) * (ahead & mask));
    const SplitDescriptor descriptor = copy_descriptor(table, head);
    if ((descriptor.flags & (SplitDescriptor::kNext | SplitDescriptor::kIndirect)) != 0) break;
    if (!region.covers(descriptor.address, descriptor.length)) [[unlikely]] {
      if (buffers_.translate(descriptor.address, descriptor.length) == nullptr) break;
      region = buffers_.last();
    }
    *next = {region.at(descriptor.address), descriptor.length, head,
             (descriptor.flags & SplitDescriptor::kWrite) != 0};
  }
  next_avail_ = static_cast<std::uint16_t>(at);
  return static_cast<std::size_t>(next - chains.data());
}

inline bool SplitRing::flush(std::uint16_t end) noexcept {
  const std::uint16_t before = used_index_;
  if (end == before) return false;
  used_index_ = end;
  index(used_ + kUsedIndex).store(end, std::memory_order_seq_cst);
  if (event_index_) {
    const std::uint16_t event = index(avail_ + avail_used_event(size_)).load(std::memory_order_seq_cst);
    return event_passed(event, end, before);
  }
  return (index(avail_ + kAvailFlags).load(std::memory_order_seq_cst) & kAvailNoInterrupt) == 0;
}

static_assert(DeviceRing<SplitRing>);

}  // namespace patchbay::devices::virtio
