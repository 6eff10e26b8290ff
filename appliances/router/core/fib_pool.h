// Storage for the arrays of the forwarding table: blocks of a few sizes out of one bounded region.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace patchbay::router {

/// Sizes and indices are in units of 8 bytes. Index 0 is never handed out.
class FibPool {
 public:
  static constexpr std::size_t kMaxUnits = 192;

  explicit FibPool(std::span<std::uint64_t> region) noexcept;

  /// A block of at least `units` units, at most kMaxUnits; 0 if none is left.
  [[nodiscard]] std::uint32_t allocate(std::size_t units) noexcept;
  /// Gives back a block that holds `units` units.
  void release(std::uint32_t index, std::size_t units) noexcept;
  /// Cuts a block of `units` units down to `fewer` > 0 units in place.
  void shrink(std::uint32_t index, std::size_t units, std::size_t fewer) noexcept;
  /// Units a block for `units` units really has.
  [[nodiscard]] static std::size_t rounded(std::size_t units) noexcept;
  void clear() noexcept;

  [[nodiscard]] std::uint64_t* at(std::uint32_t index) const noexcept { return region_.data() + index; }
  [[nodiscard]] std::size_t units_in_use() const noexcept { return in_use_; }

 private:
  static constexpr std::array<std::uint16_t, 18> kSizes{1,  2,  3,  4,  6,  8,  9,  12,  16,
                                                        18, 24, 32, 36, 48, 72, 96, 144, 192};

  [[nodiscard]] static std::size_t class_of(std::size_t units) noexcept;
  void push(std::size_t size_class, std::uint32_t index) noexcept;
  [[nodiscard]] std::uint32_t pop(std::size_t size_class) noexcept;
  void push_pieces(std::uint32_t index, std::size_t units) noexcept;

  std::span<std::uint64_t> region_;
  std::size_t fresh_ = 1;  // first unit that was never handed out
  std::size_t in_use_ = 0;
  std::array<std::uint32_t, kSizes.size()> free_{};  // heads of lists linked through the blocks' first unit
};

}  // namespace patchbay::router
