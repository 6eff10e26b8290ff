// A bounded queue of bytes between two sides that work at different speeds. Not synchronised.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

namespace patchbay::devices::console {

class ByteFifo {
 public:
  explicit ByteFifo(std::size_t capacity) : bytes_(capacity) {}

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t room() const noexcept { return bytes_.size() - size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  void clear() noexcept { size_ = 0; }

  /// Returns how many bytes were taken from the front of `data`.
  std::size_t push(std::span<const std::byte> data) noexcept {
    const std::size_t count = std::min(data.size(), room());
    const std::size_t at = (start_ + size_) % bytes_.size();
    const std::size_t first = std::min(count, bytes_.size() - at);
    std::copy_n(data.begin(), first, bytes_.begin() + static_cast<std::ptrdiff_t>(at));
    std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(first), count - first, bytes_.begin());
    size_ += count;
    return count;
  }
  /// Returns how many bytes were moved to the front of `data`.
  std::size_t pop(std::span<std::byte> data) noexcept {
    const std::size_t count = std::min(data.size(), size_);
    const std::size_t first = std::min(count, bytes_.size() - start_);
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(start_), first, data.begin());
    std::copy_n(bytes_.begin(), count - first, data.begin() + static_cast<std::ptrdiff_t>(first));
    start_ = (start_ + count) % bytes_.size();
    size_ -= count;
    return count;
  }

 private:
  std::vector<std::byte> bytes_;
  std::size_t start_ = 0;
  std::size_t size_ = 0;
};

}  // namespace patchbay::devices::console
