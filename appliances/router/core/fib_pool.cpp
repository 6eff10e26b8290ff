#include "appliances/router/core/fib_pool.h"

#include <algorithm>
#include <limits>

namespace patchbay::router {

FibPool::FibPool(std::span<std::uint64_t> region) noexcept
    : region_(region.first(std::min<std::size_t>(region.size(), std::numeric_limits<std::uint32_t>::max()))) {
}

std::size_t FibPool::class_of(std::size_t units) noexcept {
  std::size_t size_class = 0;
  while (kSizes[size_class] < units)
    ++size_class;
  return size_class;
}

std::size_t FibPool::rounded(std::size_t units) noexcept {
  return kSizes[class_of(units)];
}

void FibPool::push(std::size_t size_class, std::uint32_t index) noexcept {
  region_[index] = free_[size_class];
  free_[size_class] = index;
}

std::uint32_t FibPool::pop(std::size_t size_class) noexcept {
  const std::uint32_t index = free_[size_class];
  if (index != 0) free_[size_class] = static_cast<std::uint32_t>(region_[index]);
  return index;
}

void FibPool::push_pieces(std::uint32_t index, std::size_t units) noexcept {
  while (units != 0) {
    std::size_t size_class = kSizes.size() - 1;
    while (kSizes[size_class] > units)
      --size_class;
    push(size_class, index);
    index += kSizes[size_class];
    units -= kSizes[size_class];
  }
}

std::uint32_t FibPool::allocate(std::size_t units) noexcept {
  const std::size_t size_class = class_of(units);
  const std::size_t size = kSizes[size_class];
  std::uint32_t index = pop(size_class);
  if (index == 0 && fresh_ + size <= region_.size()) {
    index = static_cast<std::uint32_t>(fresh_);
    fresh_ += size;
  }
  for (std::size_t larger = size_class + 1; index == 0 && larger < kSizes.size(); ++larger) {
    index = pop(larger);
    if (index != 0) push_pieces(index + static_cast<std::uint32_t>(size), kSizes[larger] - size);
  }
  if (index != 0) in_use_ += size;
  return index;
}

void FibPool::release(std::uint32_t index, std::size_t units) noexcept {
  const std::size_t size_class = class_of(units);
  in_use_ -= kSizes[size_class];
  push(size_class, index);
}

void FibPool::shrink(std::uint32_t index, std::size_t units, std::size_t fewer) noexcept {
  const std::size_t before = rounded(units);
  const std::size_t after = rounded(fewer);
  in_use_ -= before - after;
  push_pieces(index + static_cast<std::uint32_t>(after), before - after);
}

void FibPool::clear() noexcept {
  fresh_ = 1;
  in_use_ = 0;
  free_.fill(0);
}

}  // namespace patchbay::router
