// Text without a heap: strings of bounded length that are appended to and never overflow.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "appliances/router/core/address.h"

namespace patchbay::router {

/// Appends to a caller's buffer; what does not fit is cut off.
class TextWriter {
 public:
  explicit TextWriter(std::span<char> buffer) noexcept : buffer_(buffer) {}

  [[nodiscard]] std::string_view view() const noexcept { return {buffer_.data(), size_}; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  void clear() noexcept { size_ = 0; }
  void pop_back() noexcept { size_ -= size_ == 0 ? 0 : 1; }

  TextWriter& operator<<(std::string_view text) noexcept {
    const std::size_t count = std::min(text.size(), buffer_.size() - size_);
    std::copy_n(text.data(), count, buffer_.data() + size_);
    size_ += count;
    return *this;
  }
  TextWriter& operator<<(const char* text) noexcept { return *this << std::string_view(text); }
  TextWriter& operator<<(char c) noexcept { return *this << std::string_view(&c, 1); }
  TextWriter& operator<<(std::uint64_t number) noexcept;
  TextWriter& operator<<(std::uint32_t number) noexcept { return *this << std::uint64_t{number}; }
  TextWriter& operator<<(std::uint16_t number) noexcept { return *this << std::uint64_t{number}; }
  TextWriter& operator<<(std::uint8_t number) noexcept { return *this << std::uint64_t{number}; }
  TextWriter& operator<<(Ipv4Address address) noexcept;
  TextWriter& operator<<(Ipv4Prefix prefix) noexcept;
  TextWriter& operator<<(const MacAddress& mac) noexcept;

  /// Spaces up to `column` (counted from the start of the buffer), at least one.
  TextWriter& pad_to(std::size_t column) noexcept;
  /// With leading zeros up to `width` digits.
  TextWriter& pad_number(std::uint64_t number, unsigned width) noexcept;
  /// Nanoseconds as milliseconds with three decimals: "0.123".
  TextWriter& milliseconds(Nanoseconds time) noexcept;
  /// Nanoseconds as hours, minutes, seconds: "01:02:03".
  TextWriter& clock(Nanoseconds time) noexcept;

 private:
  std::span<char> buffer_;
  std::size_t size_ = 0;
};

/// A string of at most N characters that owns its storage and can be copied.
template <std::size_t N>
class FixedText {
 public:
  constexpr FixedText() = default;
  FixedText(std::string_view text) noexcept { assign(text); }  // NOLINT(google-explicit-constructor)

  void assign(std::string_view text) noexcept {
    size_ = std::min(text.size(), N);
    std::copy_n(text.data(), size_, characters_.data());
  }
  [[nodiscard]] std::string_view view() const noexcept { return {characters_.data(), size_}; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  friend bool operator==(const FixedText& a, std::string_view b) noexcept { return a.view() == b; }

 private:
  std::size_t size_ = 0;
  std::array<char, N> characters_{};
};

}  // namespace patchbay::router
