// Takes a fuzzer's input apart into numbers; zeros once it is used up.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace patchbay::devices::fuzz {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) noexcept : rest_(data, size) {}

  [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }
  template <typename T>
  T take() noexcept {
    T value{};
    const std::size_t n = std::min(sizeof value, rest_.size());
    if (n != 0) std::memcpy(&value, rest_.data(), n);
    rest_ = rest_.subspan(n);
    return value;
  }
  /// A number below `bound`, which is at most 65536.
  std::uint32_t below(std::uint32_t bound) noexcept {
    return (bound <= 256 ? take<std::uint8_t>() : take<std::uint16_t>()) % bound;
  }

 private:
  std::span<const std::uint8_t> rest_;
};

/// An invariant of the code under test.
inline void require(bool holds) noexcept {
  if (!holds) __builtin_trap();
}

}  // namespace patchbay::devices::fuzz
