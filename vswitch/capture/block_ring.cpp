#include "vswitch/capture/block_ring.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace patchbay::vswitch::capture {
namespace {

constexpr std::size_t kMinCapacity = 4096;

}  // namespace

BlockRing::BlockRing(std::size_t capacity)
    : mask_(std::bit_ceil(std::max(capacity, kMinCapacity)) - 1),
      memory_(mask_ + 1, AnonymousMemory::Pages::at_once, "the ring of a capture; stop other captures") {}

std::span<std::byte> BlockRing::reserve(std::size_t bytes) noexcept {
  const std::size_t slot = slot_size(bytes);
  std::uint64_t start = producer_.write;
  const std::size_t to_end = capacity() - (start & mask_);
  const std::size_t skipped = slot <= to_end ? 0 : to_end;
  const std::size_t needed = skipped + slot;
  if (needed > capacity() - (start - producer_.read)) {
    producer_.read = consumed_.load(std::memory_order_acquire);
    if (needed > capacity() - (start - producer_.read)) return {};
  }
  if (skipped != 0) {
    std::memcpy(at(start), &kWrap, sizeof kWrap);
    start += skipped;
  }
  const std::uint64_t size = bytes;
  std::memcpy(at(start), &size, sizeof size);
  producer_.reserved_end = start + slot;
  return {at(start) + sizeof size, bytes};
}

std::span<const std::byte> BlockRing::front() noexcept {
  std::uint64_t read = consumed_.load(std::memory_order_relaxed);
  if (read == published_.load(std::memory_order_acquire)) return {};
  std::uint64_t size = 0;
  std::memcpy(&size, at(read), sizeof size);
  if (size == kWrap) {
    read += capacity() - (read & mask_);
    consumed_.store(read, std::memory_order_release);
    std::memcpy(&size, at(read), sizeof size);
  }
  return {at(read) + sizeof size, size};
}

void BlockRing::pop() noexcept {
  const std::uint64_t read = consumed_.load(std::memory_order_relaxed);
  std::uint64_t size = 0;
  std::memcpy(&size, at(read), sizeof size);
  consumed_.store(read + slot_size(size), std::memory_order_release);
}

}  // namespace patchbay::vswitch::capture
