#include "vswitch/traffic/latency_histogram.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace patchbay::vswitch::traffic {

namespace {

// HdrHistogram's V2 encoding: both cookies carry 0x10, the word size's marker of that version.
constexpr std::uint32_t kV2Cookie = 0x1c849303 | 0x10;
constexpr std::uint32_t kV2CompressedCookie = 0x1c849304 | 0x10;
constexpr std::uint32_t kSignificantDigits = 3;

template <typename Integer>
void put(std::string& to, Integer value) {
  for (int shift = 8 * (static_cast<int>(sizeof value) - 1); shift >= 0; shift -= 8)
    to.push_back(static_cast<char>(value >> shift));
}

/// ZigZag LEB128 of at most nine bytes; the ninth holds eight bits.
void put_zigzag(std::string& to, std::int64_t value) {
  auto bits = static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63);
  for (int i = 0; i < 8; ++i) {
    if (bits < 0x80) {
      to.push_back(static_cast<char>(bits));
      return;
    }
    to.push_back(static_cast<char>(bits | 0x80));
    bits >>= 7;
  }
  to.push_back(static_cast<char>(bits));
}

std::string base64(const std::string& bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t have = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8 | (j < have ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j)
      text.push_back(j <= have ? kDigits[group >> (18 - 6 * j) & 63] : '=');
  }
  return text;
}

}  // namespace

LatencyHistogram::LatencyHistogram() : counts_(index_of(kHighest) + 1, 0) {}

void LatencyHistogram::record(std::int64_t nanoseconds, std::uint64_t times) noexcept {
  counts_[index_of(std::clamp<std::int64_t>(nanoseconds, 0, kHighest))] += times;
  count_ += times;
}

void LatencyHistogram::add(const LatencyHistogram& other) noexcept {
  for (std::size_t i = 0; i < counts_.size(); ++i)
    counts_[i] += other.counts_[i];
  count_ += other.count_;
}

void LatencyHistogram::reset() noexcept {
  std::fill(counts_.begin(), counts_.end(), 0);
  count_ = 0;
}

std::int64_t LatencyHistogram::lowest_at(std::size_t index) noexcept {
  if (index < 2 * kHalf) return static_cast<std::int64_t>(index);
  const std::size_t bucket = index / kHalf - 1;
  return static_cast<std::int64_t>((index - bucket * kHalf) << bucket);
}

std::int64_t LatencyHistogram::highest_at(std::size_t index) noexcept {
  return lowest_at(index + 1) - 1;
}

std::int64_t LatencyHistogram::min() const noexcept {
  const auto found = std::find_if(counts_.begin(), counts_.end(), [](std::uint64_t n) { return n != 0; });
  return found == counts_.end() ? 0 : lowest_at(static_cast<std::size_t>(found - counts_.begin()));
}

std::int64_t LatencyHistogram::max() const noexcept {
  const auto found = std::find_if(counts_.rbegin(), counts_.rend(), [](std::uint64_t n) { return n != 0; });
  return found == counts_.rend() ? 0 : highest_at(static_cast<std::size_t>(counts_.rend() - found) - 1);
}

double LatencyHistogram::mean() const noexcept {
  if (count_ == 0) return 0;
  double sum = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] == 0) continue;
    sum += static_cast<double>(counts_[i]) *
           (static_cast<double>(lowest_at(i)) + static_cast<double>(highest_at(i))) / 2;
  }
  return sum / static_cast<double>(count_);
}

std::int64_t LatencyHistogram::percentile(double percentile) const noexcept {
  if (count_ == 0) return 0;
  // One step down, lest 99.9 % of 1,000 values round up to all of them.
  const double wanted_percentile = std::nextafter(std::clamp(percentile, 0.0, 100.0), 0.0);
  const auto wanted = std::max<std::uint64_t>(
      1, static_cast<std::uint64_t>(std::ceil(wanted_percentile * static_cast<double>(count_) / 100)));
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    below += counts_[i];
    if (below >= wanted) return highest_at(i);
  }
  return max();
}

std::string LatencyHistogram::encode() const {
  // Counts up to the last value; a run of zeros is one negative number.
  std::string counts;
  std::size_t used = counts_.size();
  while (used > 0 && counts_[used - 1] == 0)
    --used;
  for (std::size_t i = 0; i < used;) {
    if (counts_[i] != 0) {
      put_zigzag(counts, static_cast<std::int64_t>(counts_[i++]));
      continue;
    }
    std::int64_t zeros = 0;
    for (; i < used && counts_[i] == 0; ++i)
      ++zeros;
    put_zigzag(counts, -zeros);
  }

  std::string plain;
  put(plain, kV2Cookie);
  put(plain, static_cast<std::uint32_t>(counts.size()));
  put(plain, std::uint32_t{0});  // normalizing index offset
  put(plain, kSignificantDigits);
  put(plain, std::uint64_t{1});  // lowest discernible value
  put(plain, static_cast<std::uint64_t>(kHighest));
  put(plain, std::bit_cast<std::uint64_t>(1.0));  // integer to double conversion ratio
  plain += counts;

  uLongf size = ::compressBound(plain.size());
  std::string compressed(size, '\0');
  if (::compress(reinterpret_cast<Bytef*>(compressed.data()), &size,
                 reinterpret_cast<const Bytef*>(plain.data()), plain.size()) != Z_OK) {
    throw std::runtime_error("no memory to compress a histogram");
  }
  std::string whole;
  put(whole, kV2CompressedCookie);
  put(whole, static_cast<std::uint32_t>(size));
  whole.append(compressed, 0, size);
  return base64(whole);
}

}  // namespace patchbay::vswitch::traffic
