// What device models see of a virtqueue, whatever its format (Virtio 1.2, 2.6). A ring is a concrete class
// that satisfies the concept DeviceRing; a device's data path is a template over it, so formats are siblings
// and no call per packet is virtual. SplitRing (split_ring.h) is the split format of 2.7, PackedRing
// (packed_ring.h) the packed one of 2.8. Devices complete chains in the order in which they pop them
// (VIRTIO_F_IN_ORDER).
//
// A device pops chains, which moves a cursor of its own, and completes them, which stages used entries.
// Neither is visible to the driver before flush() publishes all staged entries at once. Until then rewind()
// takes back both.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "devices/guest_memory.h"

namespace patchbay::devices::virtio {

/// Why a ring stopped. Sticky: the device reports DEVICE_NEEDS_RESET (2.1.2) and touches the ring no more.
enum class RingError : std::uint8_t {
  none,
  bad_size,             // not a power of two, zero, or above the maximum (2.7)
  misaligned_ring,      // 2.7: descriptors 16, available ring 2, used ring 4 bytes
  unmapped_ring,        // a part of the ring lies outside guest memory
  index_jump,           // the available index moved by more than the queue size (2.7.13.3.1)
  bad_head,             // head index not below the queue size
  bad_next,             // next index not within its table
  loop,                 // a chain with more links than its table has entries (2.7.5.1)
  wrong_order,          // a device-readable element after a device-writable one (2.7.4.2)
  unmapped_buffer,      // an element outside guest memory
  indirect_unexpected,  // INDIRECT without the feature, or inside an indirect table (2.7.5.3.1)
  indirect_with_next,   // INDIRECT and NEXT in one descriptor (2.7.5.3.1)
  indirect_length,      // a table of zero bytes or no whole number of descriptors
  unmapped_table,       // an indirect table outside guest memory
  useless_buffer,       // the device type cannot do anything with the buffer (5.1.6.3.1)
};

[[nodiscard]] constexpr std::string_view to_string(RingError error) noexcept {
  switch (error) {
    case RingError::none:
      return "no error";
    case RingError::bad_size:
      return "the queue size is no power of two or too large";
    case RingError::misaligned_ring:
      return "the ring is misaligned";
    case RingError::unmapped_ring:
      return "the ring lies outside guest memory";
    case RingError::index_jump:
      return "the available index jumped by more than the queue size";
    case RingError::bad_head:
      return "a head index is not below the queue size";
    case RingError::bad_next:
      return "a next index points past its table";
    case RingError::loop:
      return "a descriptor chain loops";
    case RingError::wrong_order:
      return "a device-readable descriptor follows a device-writable one";
    case RingError::unmapped_buffer:
      return "a buffer lies outside guest memory";
    case RingError::indirect_unexpected:
      return "an indirect descriptor where none is allowed";
    case RingError::indirect_with_next:
      return "a descriptor is both indirect and chained";
    case RingError::indirect_length:
      return "the length of an indirect table is no multiple of 16, or 0";
    case RingError::unmapped_table:
      return "an indirect table lies outside guest memory";
    case RingError::useless_buffer:
      return "a receive buffer is too small for the header";
  }
  return "unknown";
}

/// Host memory behind one element of a chain. The guest may change the bytes at any time.
struct Segment {
  std::byte* data;
  std::uint32_t length;  // bytes, > 0
};

/// Elements of the chains a device has in hand; scratch memory that is reused, never cleared.
class SegmentList {
 public:
  static constexpr std::size_t kCapacity = 256;

  void clear() noexcept { size_ = 0; }
  /// Forgets the elements from `size` on.
  void shrink(std::size_t size) noexcept { size_ = size; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool full() const noexcept { return size_ == kCapacity; }
  /// Precondition: !full().
  void append(std::byte* data, std::uint32_t length) noexcept { segments_[size_++] = {data, length}; }
  [[nodiscard]] std::span<const Segment> segments() const noexcept {
    return std::span(segments_).first(size_);
  }
  [[nodiscard]] const Segment& operator[](std::size_t i) const noexcept { return segments_[i]; }

 private:
  std::size_t size_ = 0;
  std::array<Segment, kCapacity> segments_;
};

enum class PopStatus : std::uint8_t {
  chain,     // a chain was popped
  overlong,  // a chain was popped, but has more elements than the list had room for: complete it unused
  empty,     // the driver has made nothing else available
  broken,    // see error(); nothing was popped
};

/// One popped chain; its elements were appended to the caller's list, device-readable ones first. Elements of
/// zero length are left out.
struct Chain {
  std::uint16_t id = 0;        // hand back to complete()
  std::uint16_t readable = 0;  // elements
  std::uint16_t writable = 0;
  std::uint64_t readable_bytes = 0;
  std::uint64_t writable_bytes = 0;
};

/// A chain of one element of at least one byte: what nearly all frames are, and what rings can hand out in
/// bulk, so that a data path can start to load all their buffers before it touches the first.
struct SingleChain {
  std::byte* data;
  std::uint32_t length;
  std::uint16_t id;
  bool writable;
};

/// A chain that is dealt with: `bytes` were written to its writable elements. The layout of a used element
/// (2.7.8), so a row of them can be copied as it stands.
struct UsedChain {
  std::uint32_t id;
  std::uint32_t bytes;
};

/// Where a driver put a ring: guest physical addresses (4.1.4.3: queue_desc, queue_driver, queue_device).
struct RingSetup {
  std::uint16_t size = 0;
  std::uint64_t descriptors = 0;
  std::uint64_t driver_area = 0;
  std::uint64_t device_area = 0;
  bool event_index = false;  // VIRTIO_F_EVENT_IDX was acknowledged
  bool indirect = false;     // VIRTIO_F_INDIRECT_DESC was acknowledged
  bool in_order = false;     // VIRTIO_F_IN_ORDER was acknowledged
  bool packed = false;       // VIRTIO_F_RING_PACKED was acknowledged
  bool only_read = false;    // the device writes into no buffer of this ring
  // A ring that ran before goes on at the position() it had. A split ring's used index counts on from what it
  // says; a packed ring's used descriptors go on where the available ones do.
  bool resume = false;
  std::uint16_t next_avail = 0;
  // Packed: a PackedUsedRecord to keep, aligned to 8 bytes and writable until the ring is disabled.
  std::byte* used_record = nullptr;
};

template <typename R>
concept DeviceRing = requires(R ring, const R& view, SegmentList& list, Chain& chain,
                              const GuestMemory& memory, const RingSetup& setup, std::uint16_t id,
                              std::uint32_t bytes, typename R::Mark mark, std::size_t count,
                              std::span<SingleChain> chains, std::span<const UsedChain> used) {
  /// Validates and translates the ring once; on error the ring stays disabled.
  { ring.enable(memory, setup) }
  noexcept->std::same_as<RingError>;
  { ring.disable() }
  noexcept;
  { view.enabled() }
  noexcept->std::same_as<bool>;
  { view.error() }
  noexcept->std::same_as<RingError>;
  { view.size() }
  noexcept->std::same_as<std::uint16_t>;
  /// How many chains may wait beyond the cursor, as the driver last showed them: none only if it is 0; one
  /// acquire load.
  { ring.available() }
  noexcept->std::same_as<std::uint16_t>;
  { ring.pop(list, chain) }
  noexcept->std::same_as<PopStatus>;
  /// Takes chains from the cursor on, up to chains.size(), and stops before the first that is not a
  /// SingleChain: pop() has to deal with that one.
  { ring.pop_singles(chains) }
  noexcept->std::same_as<std::size_t>;
  /// Moves the cursor back over the last `count` chains of the last pop_singles(). Staged entries stay.
  { ring.put_back(count) }
  noexcept;
  { view.mark() }
  noexcept->std::same_as<typename R::Mark>;
  { ring.rewind(mark) }
  noexcept;
  /// Moves a mark over one SingleChain.
  { ring.advance(mark) }
  noexcept;
  /// RingSetup::next_avail for whoever goes on with the ring: an index into the available ring, or a place in
  /// the packed ring with its wrap counter in bit 15. Precondition: nothing is popped or staged.
  { view.position() }
  noexcept->std::same_as<std::uint16_t>;
  /// Stages a used entry: `bytes` were written to the chain's writable elements.
  { ring.complete(id, bytes) }
  noexcept;
  /// complete() for each.
  { ring.complete_all(used) }
  noexcept;
  /// How far entries are staged: a number to hand to flush().
  { view.staged() }
  noexcept->std::same_as<std::uint16_t>;
  /// Publishes what is staged, or what was staged when staged() was so much. True if the driver wants an
  /// interrupt for it.
  { ring.flush() }
  noexcept->std::same_as<bool>;
  { ring.flush(id) }
  noexcept->std::same_as<bool>;
  /// Asks the driver for notifications. True if chains wait already.
  { ring.enable_notifications() }
  noexcept->std::same_as<bool>;
  { ring.disable_notifications() }
  noexcept;
};

}  // namespace patchbay::devices::virtio
