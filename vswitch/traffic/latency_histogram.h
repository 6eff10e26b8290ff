// A high dynamic range histogram (G. Tene's HdrHistogram) of latencies in nanoseconds: relative resolution of
// 0.1 % (three significant digits) from 1 ns to one minute in constant memory, recording in constant time.
//
// encode() writes the interchange format of the HdrHistogram family, "V2 compressed", in base64, which their
// log viewers and libraries read.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

namespace patchbay::vswitch::traffic {

class LatencyHistogram {
 public:
  static constexpr std::int64_t kHighest = 60'000'000'000;  // nanoseconds; more is recorded as this

  LatencyHistogram();

  void record(std::int64_t nanoseconds, std::uint64_t times = 1) noexcept;
  void add(const LatencyHistogram& other) noexcept;
  void reset() noexcept;

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  /// Nanoseconds; 0 without values. Within the resolution, as the family computes them: the highest value
  /// that is equivalent to the wanted one.
  [[nodiscard]] std::int64_t min() const noexcept;
  [[nodiscard]] std::int64_t max() const noexcept;
  [[nodiscard]] double mean() const noexcept;
  /// `percentile` within [0, 100].
  [[nodiscard]] std::int64_t percentile(double percentile) const noexcept;

  /// V2 compressed, base64.
  [[nodiscard]] std::string encode() const;

 private:
  // Values below 2^kSubBucketBits are counted one by one, each octave above in 2^(kSubBucketBits - 1) steps.
  static constexpr unsigned kSubBucketBits = 11;
  static constexpr std::size_t kHalf = std::size_t{1} << (kSubBucketBits - 1);

  [[nodiscard]] static std::size_t index_of(std::int64_t value) noexcept {
    const auto unsigned_value = static_cast<std::uint64_t>(value);
    const unsigned bits = static_cast<unsigned>(std::bit_width(unsigned_value | ((2 * kHalf) - 1)));
    const unsigned bucket = bits - kSubBucketBits;
    return bucket * kHalf + static_cast<std::size_t>(unsigned_value >> bucket);
  }
  [[nodiscard]] static std::int64_t lowest_at(std::size_t index) noexcept;
  [[nodiscard]] static std::int64_t highest_at(std::size_t index) noexcept;

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
};

}  // namespace patchbay::vswitch::traffic
