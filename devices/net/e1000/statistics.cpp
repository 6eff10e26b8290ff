#include "devices/net/e1000/statistics.h"

#include <algorithm>
#include <limits>

namespace patchbay::devices::net::e1000 {

namespace {

constexpr std::uint32_t kFcsBytes = 4;

/// Offset from the 64-byte counter of the one for this frame size, FCS included: 64, -127, -255, -511, -1023,
/// more.
std::uint32_t size_class(std::uint32_t bytes) {
  if (bytes <= 64) return 0x00;
  if (bytes <= 127) return 0x04;
  if (bytes <= 255) return 0x08;
  if (bytes <= 511) return 0x0C;
  if (bytes <= 1023) return 0x10;
  return 0x14;
}

bool is_low_half(std::uint32_t offset) {
  return offset == 0x88 || offset == 0x90 || offset == 0xC0 || offset == 0xC8;
}

}  // namespace

std::uint32_t Statistics::read(std::uint32_t offset) noexcept {
  std::uint32_t& word = words_[(offset / 4) % words_.size()];
  const std::uint32_t value = word;
  if (is_low_half(offset)) return value;
  word = 0;
  if (offset >= 4 && is_low_half(offset - 4)) words_[offset / 4 - 1] = 0;
  return value;
}

void Statistics::increment(std::uint32_t offset, std::uint32_t n) noexcept {
  std::uint32_t& word = words_[offset / 4];
  word += std::min(n, std::numeric_limits<std::uint32_t>::max() - word);
}

void Statistics::add_octets(std::uint32_t offset, std::uint64_t n) noexcept {
  std::uint32_t& low = words_[offset / 4];
  std::uint32_t& high = words_[offset / 4 + 1];
  const std::uint64_t sum = ((std::uint64_t{high} << 32) | low) + n;
  low = static_cast<std::uint32_t>(sum);
  high = static_cast<std::uint32_t>(sum >> 32);
}

void Statistics::received(std::uint32_t length, bool multicast, bool broadcast) noexcept {
  const std::uint32_t bytes = length + kFcsBytes;
  increment(kRxGood);
  increment(kRxTotal);
  increment(kRxSizes + size_class(bytes));
  add_octets(kRxGoodOctets, bytes);
  add_octets(kRxOctets, bytes);
  if (broadcast) {
    increment(kRxBroadcast);
  } else if (multicast) {
    increment(kRxMulticast);
  }
}

void Statistics::transmitted(std::uint32_t length, std::uint32_t frames, bool multicast,
                             bool broadcast) noexcept {
  const std::uint32_t bytes = length + kFcsBytes;
  increment(kTxGood, frames);
  increment(kTxTotal, frames);
  increment(kTxSizes + size_class(bytes), frames);
  add_octets(kTxGoodOctets, std::uint64_t{bytes} * frames);
  add_octets(kTxOctets, std::uint64_t{bytes} * frames);
  if (broadcast) {
    increment(kTxBroadcast, frames);
  } else if (multicast) {
    increment(kTxMulticast, frames);
  }
}

void Statistics::missed_no_buffer(std::uint32_t frames) noexcept {
  increment(kMissed, frames);
  increment(kReceiveNoBuffer, frames);
}

}  // namespace patchbay::devices::net::e1000
