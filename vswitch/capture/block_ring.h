// A bounded queue of byte blocks between a worker, which never waits, and one writer thread.
//
// The memory is allocated and touched at construction. Blocks lie in it whole, so the producer builds them in
// place and the consumer hands them on without another copy. Blocks become visible per publish(), that is per
// burst.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "vswitch/anonymous_memory.h"

namespace patchbay::vswitch::capture {

class BlockRing {
 public:
  /// Holds at most `capacity` bytes of blocks and their 8-byte headers; rounded up to a power of two, at
  /// least 4 KiB. Throws std::system_error if the system has no memory for it.
  explicit BlockRing(std::size_t capacity);

  // Producer.
  /// Room for a block of `bytes` > 0, 8-byte aligned; empty if the ring has none left now.
  [[nodiscard]] std::span<std::byte> reserve(std::size_t bytes) noexcept;
  /// Adds the block that reserve() returned last.
  void commit() noexcept { producer_.write = producer_.reserved_end; }
  /// Shows the committed blocks to the consumer.
  void publish() noexcept { published_.store(producer_.write, std::memory_order_release); }

  // Consumer.
  /// The oldest published block, empty if there is none. Valid until pop().
  [[nodiscard]] std::span<const std::byte> front() noexcept;
  /// Frees the block that front() returned.
  void pop() noexcept;

  [[nodiscard]] std::size_t capacity() const noexcept { return mask_ + 1; }

 private:
  static constexpr std::size_t kAlignment = 8;
  // Before each block: its size. This value says that the rest of the memory is unused and the next block
  // lies at its start.
  static constexpr std::uint64_t kWrap = 0;

  static constexpr std::size_t slot_size(std::size_t bytes) noexcept {
    return sizeof(std::uint64_t) + ((bytes + kAlignment - 1) & ~(kAlignment - 1));
  }
  [[nodiscard]] std::byte* at(std::uint64_t position) noexcept { return memory_.data() + (position & mask_); }

  std::size_t mask_;
  AnonymousMemory memory_;

  // Positions only grow; their low bits are the offset in memory_.
  struct alignas(64) {
    std::uint64_t write = 0;         // end of the committed blocks
    std::uint64_t reserved_end = 0;  // where `write` goes with the next commit()
    std::uint64_t read = 0;          // the consumer's position as last seen
  } producer_;
  alignas(64) std::atomic<std::uint64_t> published_{0};
  alignas(64) std::atomic<std::uint64_t> consumed_{0};
};

}  // namespace patchbay::vswitch::capture
