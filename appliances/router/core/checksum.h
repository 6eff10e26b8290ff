// The Internet checksum (RFC 1071) and its incremental update (RFC 1624). Values are in host byte order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace patchbay::router {

namespace checksum_detail {

constexpr std::uint16_t fold(std::uint64_t sum) noexcept {
  sum = (sum & 0xFFFF'FFFFU) + (sum >> 32);
  sum = (sum & 0xFFFFU) + (sum >> 16);
  sum = (sum & 0xFFFFU) + (sum >> 16);
  sum = (sum & 0xFFFFU) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

}  // namespace checksum_detail

/// The ones' complement sum of the bytes as big-endian 16-bit words, an odd last byte padded with zero. Over
/// data that holds a correct checksum it is 0xFFFF.
[[nodiscard]] inline std::uint16_t ones_complement_sum(std::span<const std::byte> bytes) noexcept {
  // RFC 1071, 2 (B) and (C): sum wide native words, fold, and swap the result instead of every word.
  std::uint64_t sum = 0;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 4; at += 4, left -= 4) {
    std::uint32_t word = 0;
    std::memcpy(&word, at, sizeof(word));
    sum += word;
  }
  if (left != 0) {
    std::uint32_t word = 0;
    std::memcpy(&word, at, left);
    sum += word;
  }
  return __builtin_bswap16(checksum_detail::fold(sum));
}

/// The same for an IPv4 header without options: the sum that every packet needs, without a loop.
[[nodiscard]] inline std::uint16_t ones_complement_sum(std::span<const std::byte, 20> header) noexcept {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  std::uint32_t third = 0;
  std::memcpy(&first, header.data(), 8);
  std::memcpy(&second, header.data() + 8, 8);
  std::memcpy(&third, header.data() + 16, 4);
  const std::uint64_t sum =
      (first & 0xFFFF'FFFFU) + (first >> 32) + (second & 0xFFFF'FFFFU) + (second >> 32) + third;
  return __builtin_bswap16(checksum_detail::fold(sum));
}

/// What belongs in the checksum field of a message whose checksum field is zero.
[[nodiscard]] inline std::uint16_t internet_checksum(std::span<const std::byte> bytes) noexcept {
  return static_cast<std::uint16_t>(~ones_complement_sum(bytes));
}

/// The checksum after one 16-bit word of the message changed: RFC 1624, equation 3, HC' = ~(~HC + ~m + m').
/// Unlike equation 4 of RFC 1141 it never turns a correct 0x0000 into 0xFFFF.
[[nodiscard]] constexpr std::uint16_t update_checksum(std::uint16_t checksum, std::uint16_t old_word,
                                                      std::uint16_t new_word) noexcept {
  std::uint32_t sum = static_cast<std::uint16_t>(~checksum);
  sum += static_cast<std::uint16_t>(~old_word);
  sum += new_word;
  sum = (sum & 0xFFFFU) + (sum >> 16);
  sum = (sum & 0xFFFFU) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace patchbay::router
