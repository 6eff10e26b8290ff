#include "appliances/router/core/cli/parse.h"

namespace patchbay::router {
namespace {

/// Takes a decimal number from the front of `text`.
std::optional<std::uint32_t> take_number(std::string_view& text) noexcept {
  std::size_t digits = 0;
  std::uint64_t value = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    value = value * 10 + static_cast<unsigned>(text[digits] - '0');
    if (value > 0xFFFF'FFFFU) return std::nullopt;
    ++digits;
  }
  if (digits == 0 || (digits > 1 && text[0] == '0')) return std::nullopt;
  text.remove_prefix(digits);
  return static_cast<std::uint32_t>(value);
}

bool take(std::string_view& text, char expected) noexcept {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<Ipv4Address> take_address(std::string_view& text) noexcept {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < 4; ++i) {
    if (i != 0 && !take(text, '.')) return std::nullopt;
    const auto octet = take_number(text);
    if (!octet || *octet > 255) return std::nullopt;
    value = value << 8 | *octet;
  }
  return Ipv4Address{value};
}

}  // namespace

std::optional<std::uint32_t> parse_number(std::string_view text) noexcept {
  const auto number = take_number(text);
  return text.empty() ? number : std::nullopt;
}

std::optional<Ipv4Address> parse_address(std::string_view text) noexcept {
  const auto address = take_address(text);
  return text.empty() ? address : std::nullopt;
}

std::optional<Ipv4Prefix> parse_prefix(std::string_view text) noexcept {
  const auto address = take_address(text);
  if (!address || !take(text, '/')) return std::nullopt;
  const auto length = parse_number(text);
  if (!length || *length > 32) return std::nullopt;
  return Ipv4Prefix{*address, static_cast<std::uint8_t>(*length)};
}

}  // namespace patchbay::router
