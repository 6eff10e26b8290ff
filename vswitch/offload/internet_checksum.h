// The Internet checksum (RFC 1071): the ones' complement sum of 16-bit words, over bytes that come in pieces
// of any length and alignment. Sums are kept as the words lie in memory, so nothing is swapped; the result
// goes back to memory the same way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace patchbay::vswitch::offload {

/// The sum of 16-bit words in memory order, an odd last byte padded with zero, folded to 16 bits. Uses AVX2
/// where the processor has it.
[[nodiscard]] std::uint16_t sum_words(std::span<const std::byte> bytes) noexcept;

/// A 64-bit sum of 16-bit words to 16 bits.
[[nodiscard]] constexpr std::uint16_t fold(std::uint64_t sum) noexcept {
  sum = (sum & 0xFFFF'FFFF) + (sum >> 32);
  sum = (sum & 0xFFFF) + (sum >> 16);
  sum = (sum & 0xFFFF) + (sum >> 16);
  sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

class InternetSum {
 public:
  InternetSum() = default;
  explicit InternetSum(std::uint64_t sum) noexcept : sum_(sum) {}

  void add(std::span<const std::byte> bytes) noexcept {
    std::uint16_t sum = sum_words(bytes);
    if (odd_) sum = static_cast<std::uint16_t>(sum << 8 | sum >> 8);  // the piece starts at an odd place
    sum_ += sum;
    odd_ ^= bytes.size() % 2 != 0;
  }
  /// A number that stands in a packet as a 16-bit field at an even place.
  void add_field(std::uint16_t value) noexcept {
    sum_ += static_cast<std::uint16_t>(value << 8 | value >> 8);
  }

  [[nodiscard]] std::uint16_t folded() const noexcept { return fold(sum_); }
  /// What goes into the checksum field.
  [[nodiscard]] std::uint16_t checksum() const noexcept { return static_cast<std::uint16_t>(~folded()); }
  /// As checksum(), but for UDP never zero, which means "none" there (RFC 768). TCP gets zero: receivers take either
  /// form, but RFC 1624 and analysers know one.
  [[nodiscard]] std::uint16_t transport_checksum(bool udp) const noexcept {
    const std::uint16_t value = checksum();
    return value == 0 && udp ? std::uint16_t{0xFFFF} : value;
  }

 private:
  std::uint64_t sum_ = 0;
  bool odd_ = false;
};

}  // namespace patchbay::vswitch::offload
