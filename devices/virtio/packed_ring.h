// Device side of a packed virtqueue (Virtio 1.2, 2.8). Satisfies DeviceRing (ring.h); the sibling of
// SplitRing.
//
// Descriptors and completions share one ring. A completion overwrites descriptors of the driver, so staged
// ones are kept here until flush(), which writes the first of them last: the driver sees all or none.
//
// Chains are completed in the order in which they were popped. Everything the driver writes is read once into
// a local copy and checked there; a ring that breaks the rules gets a sticky error and is not touched again.
//
// Order between the two sides (2.8.6): a descriptor's flags are read before the rest of it (acquire) and
// written after it (release); flags, then the driver's event structure, and our event structure, then flags,
// with a full fence between store and load.
//
// Not synchronised: the device's lock covers it. Nothing here throws or allocates.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

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
    std::uint16_t in_hand;
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

  [[nodiscard]] Mark mark() const noexcept { return {avail_at_, avail_wrap_, in_hand_, popped_, completed_}; }
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
  /// Publishes what is staged. True if the driver wants an interrupt (2.8.7).
  [[nodiscard]] bool flush() noexcept;

  /// Asks the driver to notify us of the next chain. True if one waits already.
  [[nodiscard]] bool enable_notifications() noexcept;
  /// Asks the driver not to bother.
  void disable_notifications() noexcept;

 private:
  struct Completion {
    std::uint32_t bytes;
    std::uint16_t id;
  };

  [[nodiscard]] std::byte* descriptor(std::uint16_t at) const noexcept {
    return descriptors_ + sizeof(PackedDescriptor) * at;
  }
  [[nodiscard]] std::uint16_t load_flags(std::uint16_t at, std::memory_order order) const noexcept;
  /// The one read of a descriptor: the compiler may not go back to guest memory for a field it has checked.
  static PackedDescriptor copy_descriptor(const std::byte* from) noexcept;
  [[nodiscard]] bool next_is_available(std::memory_order order) const noexcept;
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
  RingError error_ = RingError::none;
  std::byte* descriptors_ = nullptr;
  std::byte* driver_event_ = nullptr;
  std::byte* device_event_ = nullptr;
  AddressCache buffers_;
  std::array<std::uint16_t, kMaxSize> lengths_;  // descriptors of a chain, by its number modulo kMaxSize
  std::array<Completion, kMaxSize> staged_;      // likewise
};

static_assert(DeviceRing<PackedRing>);

}  // namespace patchbay::devices::virtio
