#include "appliances/router/core/text.h"

namespace patchbay::router {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

}  // namespace

TextWriter& TextWriter::operator<<(std::uint64_t number) noexcept {
  std::array<char, 20> digits;
  std::size_t first = digits.size();
  do {
    digits[--first] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  return *this << std::string_view(digits.data() + first, digits.size() - first);
}

TextWriter& TextWriter::operator<<(Ipv4Address address) noexcept {
  for (unsigned shift = 24;; shift -= 8) {
    *this << (address.value >> shift & 0xFFU);
    if (shift == 0) return *this;
    *this << '.';
  }
}

TextWriter& TextWriter::operator<<(Ipv4Prefix prefix) noexcept {
  return *this << prefix.address << '/' << prefix.length;
}

TextWriter& TextWriter::operator<<(const MacAddress& mac) noexcept {
  for (std::size_t i = 0; i < mac.bytes.size(); ++i) {
    if (i != 0) *this << ':';
    *this << kHexDigits[mac.bytes[i] >> 4] << kHexDigits[mac.bytes[i] & 0xFU];
  }
  return *this;
}

TextWriter& TextWriter::pad_to(std::size_t column) noexcept {
  do
    *this << ' ';
  while (size_ < column && size_ < buffer_.size());
  return *this;
}

TextWriter& TextWriter::pad_number(std::uint64_t number, unsigned width) noexcept {
  std::uint64_t limit = 10;
  for (unsigned digits = 1; digits < width; ++digits, limit *= 10) {
    if (number < limit) *this << '0';
  }
  return *this << number;
}

TextWriter& TextWriter::milliseconds(Nanoseconds time) noexcept {
  *this << time / kMillisecond << '.';
  return pad_number(time % kMillisecond / 1000, 3);
}

TextWriter& TextWriter::clock(Nanoseconds time) noexcept {
  const std::uint64_t seconds = time / kSecond;
  pad_number(seconds / 3600, 2) << ':';
  pad_number(seconds / 60 % 60, 2) << ':';
  return pad_number(seconds % 60, 2);
}

}  // namespace patchbay::router
