// Accounts for the frames of one stream by their sequence numbers: how many different ones arrived, how many
// came again, how many were overtaken (RFC 4737: the number is smaller than one that arrived before). Exact
// for frames that are at most kWindow numbers late; later ones are counted as too_late and as nothing else.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

namespace patchbay::vswitch::traffic {

class SequenceTracker {
 public:
  static constexpr std::uint64_t kWindow = std::uint64_t{1} << 22;

  SequenceTracker() : seen_(std::make_unique<Bits>()) {}

  /// Forgets everything. Numbers from `limit` on are nobody's and will be counted as invalid.
  void reset(std::uint64_t limit) noexcept;
  void record(std::uint64_t sequence) noexcept {
    if (sequence == next_ && sequence < limit_) [[likely]] {
      if (sequence % 64 == 0) word(sequence) = 0;
      word(sequence) |= bit(sequence);
      ++next_;
      ++unique_;
    } else {
      record_out_of_order(sequence);
    }
  }

  [[nodiscard]] std::uint64_t unique() const noexcept { return unique_; }
  [[nodiscard]] std::uint64_t duplicates() const noexcept { return duplicates_; }
  [[nodiscard]] std::uint64_t reordered() const noexcept { return reordered_; }  // part of unique()
  [[nodiscard]] std::uint64_t too_late() const noexcept { return too_late_; }
  [[nodiscard]] std::uint64_t invalid() const noexcept { return invalid_; }

 private:
  static constexpr std::size_t kWords = kWindow / 64 * 2;  // a power of two, larger than the window
  using Bits = std::array<std::uint64_t, kWords>;

  [[nodiscard]] std::uint64_t& word(std::uint64_t sequence) noexcept {
    return (*seen_)[sequence / 64 % kWords];
  }
  [[nodiscard]] static std::uint64_t bit(std::uint64_t sequence) noexcept {
    return std::uint64_t{1} << sequence % 64;
  }
  void record_out_of_order(std::uint64_t sequence) noexcept;

  std::unique_ptr<Bits> seen_;  // of numbers within the window below next_
  std::uint64_t next_ = 0;      // one more than the highest that arrived
  std::uint64_t limit_ = 0;
  std::uint64_t unique_ = 0, duplicates_ = 0, reordered_ = 0, too_late_ = 0, invalid_ = 0;
};

}  // namespace patchbay::vswitch::traffic
