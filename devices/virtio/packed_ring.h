// Device side of a packed virtqueue (Virtio 1.2, 2.8). Satisfies DeviceRing (ring.h); the sibling of
// SplitRing.
//
// Descriptors and completions share one ring. A completion overwrites descriptors of the driver, so staged
// ones are kept here until flush(), which writes the first of them last: the driver sees all or none.
//
// Chains are completed in the order in which they were popped. With VIRTIO_F_IN_ORDER, completions in a row
// that wrote nothing are published as one, the last (2.8.9): that is how transmitted buffers come back.
// Everything the driver writes is read once into a local copy and checked there; a ring that breaks the rules
// gets a sticky error and is not touched again.
//
// Order between the two sides (2.8.6): a descriptor's flags are read before the rest of it (acquire) and
// written after it (release); flags, then the driver's event structure, and our event structure, then flags,
// with a full fence between store and load.
//
// Not synchronised: the device's lock covers it. Nothing here throws or allocates.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "devices/guest_memory.h"
#include "devices/virtio/address_cache.h"
#include "devices/virtio/packed_layout.h"
#include "devices/virtio/ring.h"

namespace patchbay::devices::virtio {

class PackedRing {
 public:
  /// The largest ring taken here; 2.8.10.1 allows 32768. Staged completions have to fit in.
  static constexpr std::uint16_t kMaxSize = 1024;

  /// A position to rewind to.
  struct Mark {
    std::uint16_t avail_at;
    bool avail_wrap;
    std::uint16_t popped;
    std::uint16_t completed;
  };

  /// Translates and validates the ring and starts at position 0, both wrap counters 1 (2.8.1), or resumes.
  /// `memory` must outlive the ring. On an error the ring is disabled and error() tells why.
  RingError enable(const GuestMemory& memory, const RingSetup& setup) noexcept;
  /// Forgets the ring, its error and its event state.
  void disable() noexcept;

  [[nodiscard]] bool enabled() const noexcept { return size_ != 0; }
  [[nodiscard]] RingError error() const noexcept { return error_; }
  [[nodiscard]] std::uint16_t size() const noexcept { return size_; }

  /// 0 if no chain waits, else how many may wait at most: nobody counts them.
  [[nodiscard]] std::uint16_t available() noexcept;
  /// Takes the next chain and appends its elements to `list`.
  [[nodiscard]] PopStatus pop(SegmentList& list, Chain& chain) noexcept;

  /// Takes chains of one element each; see DeviceRing.
  [[nodiscard]] std::size_t pop_singles(std::span<SingleChain> chains) noexcept;
  void put_back(std::size_t count) noexcept;
  void advance(Mark& mark) const noexcept {
    ++mark.popped;
    if (++mark.avail_at != size_) return;
    mark.avail_at = 0;
    mark.avail_wrap = !mark.avail_wrap;
  }

  [[nodiscard]] Mark mark() const noexcept { return {avail_at_, avail_wrap_, popped_, completed_}; }
  /// RingSetup::next_avail for whoever goes on with the ring. Precondition: nothing is popped or staged.
  [[nodiscard]] std::uint16_t position() const noexcept {
    return static_cast<std::uint16_t>(avail_at_ | (avail_wrap_ ? kPackedWrap : 0));
  }
  /// Chains popped and completions staged since `mark` are as if they never were. Not across a flush() of
  /// such completions.
  void rewind(const Mark& mark) noexcept;

  /// Stages the completion of the oldest popped chain that has none; `id` is that chain's. Precondition:
  /// there is one.
  void complete(std::uint16_t id, std::uint32_t bytes) noexcept;
  void complete_all(std::span<const UsedChain> chains) noexcept {
    std::size_t number = completed_;
    for (const UsedChain& chain : chains)
      staged_[number++ % kMaxSize] = chain;
    completed_ = static_cast<std::uint16_t>(number);
  }
  [[nodiscard]] std::uint16_t staged() const noexcept { return completed_; }
  /// Publishes what is staged, or what was when staged() was `end`. True if the driver wants an interrupt
  /// (2.8.7).
  [[nodiscard]] bool flush() noexcept { return flush(completed_); }
  [[nodiscard]] bool flush(std::uint16_t end) noexcept;

  /// Asks the driver to notify us of the next chain. True if one waits already.
  [[nodiscard]] bool enable_notifications() noexcept;
  /// Asks the driver not to bother.
  void disable_notifications() noexcept;

 private:
  [[nodiscard]] std::byte* descriptor(std::uint16_t at) const noexcept {
    return descriptors_ + sizeof(PackedDescriptor) * at;
  }
  /// Whether the driver made the descriptor at `entry` available in the lap of that wrap counter.
  [[nodiscard]] static bool is_available(std::byte* entry, bool wrap, std::memory_order order) noexcept;
  /// The one read of a descriptor: the compiler may not go back to guest memory for a field it has checked.
  static PackedDescriptor copy_descriptor(const std::byte* from) noexcept;
  [[nodiscard]] bool next_is_available(std::memory_order order) const noexcept;
  [[nodiscard]] std::uint16_t used_position() const noexcept {
    return static_cast<std::uint16_t>(used_at_ | (used_wrap_ ? kPackedWrap : 0));
  }
  PopStatus fail(RingError error) noexcept;
  PopStatus walk(PackedDescriptor first, SegmentList& list, Chain& chain) noexcept;
  /// Appends one element; `overlong` tells whether the list had no room. Returns what is wrong with it.
  [[nodiscard]] RingError add(const PackedDescriptor& descriptor, SegmentList& list, Chain& chain,
                              bool& overlong) noexcept;
  void take(std::uint16_t descriptors) noexcept;

  std::uint16_t size_ = 0;      // descriptors; 0 while disabled
  std::uint16_t avail_at_ = 0;  // the cursor
  std::uint16_t used_at_ = 0;   // where the next completion goes
  bool avail_wrap_ = true;
  bool used_wrap_ = true;
  std::uint16_t in_hand_ = 0;    // descriptors popped and not flushed
  std::uint16_t popped_ = 0;     // chains, free-running
  std::uint16_t completed_ = 0;  // of them, staged or flushed
  std::uint16_t flushed_ = 0;
  bool event_index_ = false;
  bool indirect_ = false;
  bool in_order_ = false;
  bool only_read_ = false;
  RingError error_ = RingError::none;
  std::byte* descriptors_ = nullptr;
  std::byte* driver_event_ = nullptr;
  std::byte* device_event_ = nullptr;
  std::byte* used_record_ = nullptr;  // if somebody keeps one
  AddressCache buffers_;
  std::array<std::uint16_t, kMaxSize> lengths_;  // descriptors of a chain, by its number modulo kMaxSize
  std::array<UsedChain, kMaxSize> staged_;       // likewise
};

inline std::size_t PackedRing::pop_singles(std::span<SingleChain> chains) noexcept {
  if (size_ == 0 || error_ != RingError::none) return 0;
  constexpr std::size_t kAhead = 8;  // descriptors: two cache lines
  // Copies, which stay in registers: for all the compiler knows, what is written below could change the
  // members.
  const std::size_t size = size_;
  std::byte* const table = descriptors_;
  GuestMemory::Region region = buffers_.last();
  std::size_t at = avail_at_;
  bool wrap = avail_wrap_;
  const std::size_t most = std::min(chains.size(), size - in_hand_);
  std::size_t taken = 0;
  for (; taken < most; ++taken) {
    std::byte* const entry = table + sizeof(PackedDescriptor) * at;
    if (!is_available(entry, wrap, std::memory_order_acquire)) break;
    if (at + kAhead < size) __builtin_prefetch(entry + kAhead * sizeof(PackedDescriptor));
    const PackedDescriptor found = copy_descriptor(entry);
    if ((found.flags & (PackedDescriptor::kNext | PackedDescriptor::kIndirect)) != 0) break;
    if (!region.covers(found.address, found.length)) [[unlikely]] {
      if (buffers_.translate(found.address, found.length) == nullptr) break;
      region = buffers_.last();
    }
    chains[taken] = {region.at(found.address), found.length, found.id,
                     (found.flags & PackedDescriptor::kWrite) != 0};
    if (++at == size) {
      at = 0;
      wrap = !wrap;
    }
  }
  for (std::size_t i = 0; i < taken; ++i)
    lengths_[(popped_ + i) % kMaxSize] = 1;
  popped_ = static_cast<std::uint16_t>(popped_ + taken);
  in_hand_ = static_cast<std::uint16_t>(in_hand_ + taken);
  avail_at_ = static_cast<std::uint16_t>(at);
  avail_wrap_ = wrap;
  return taken;
}

inline void PackedRing::put_back(std::size_t count) noexcept {
  const auto descriptors = static_cast<std::uint16_t>(count);  // one each
  popped_ = static_cast<std::uint16_t>(popped_ - descriptors);
  in_hand_ = static_cast<std::uint16_t>(in_hand_ - descriptors);
  if (avail_at_ < descriptors) {
    avail_at_ = static_cast<std::uint16_t>(avail_at_ + size_);
    avail_wrap_ = !avail_wrap_;
  }
  avail_at_ = static_cast<std::uint16_t>(avail_at_ - descriptors);
}

inline PackedDescriptor PackedRing::copy_descriptor(const std::byte* from) noexcept {
  PackedDescriptor descriptor;
  std::memcpy(&descriptor, from, sizeof descriptor);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  return descriptor;
}

inline bool PackedRing::next_is_available(std::memory_order order) const noexcept {
  return is_available(descriptor(avail_at_), avail_wrap_, order);
}

inline bool PackedRing::is_available(std::byte* entry, bool wrap, std::memory_order order) noexcept {
  constexpr unsigned kBoth = unsigned{PackedDescriptor::kAvail} | PackedDescriptor::kUsed;
  const std::uint16_t flags =
      std::atomic_ref(*reinterpret_cast<std::uint16_t*>(entry + kPackedFlags)).load(order);
  return (flags & kBoth) == available_flags(wrap);
}

inline void PackedRing::take(std::uint16_t descriptors) noexcept {
  lengths_[popped_ % kMaxSize] = descriptors;
  ++popped_;
  in_hand_ = static_cast<std::uint16_t>(in_hand_ + descriptors);
  avail_at_ = static_cast<std::uint16_t>(avail_at_ + descriptors);
  if (avail_at_ >= size_) {
    avail_at_ = static_cast<std::uint16_t>(avail_at_ - size_);
    avail_wrap_ = !avail_wrap_;
  }
}

inline void PackedRing::complete(std::uint16_t id, std::uint32_t bytes) noexcept {
  staged_[completed_ % kMaxSize] = {id, bytes};
  ++completed_;
}

static_assert(DeviceRing<PackedRing>);

}  // namespace patchbay::devices::virtio
