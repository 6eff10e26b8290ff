// The kernel command line: words of the form key=value separated by spaces, of which the VMM adds those that
// describe the platform and the lab those that describe the node.
#pragma once

#include <charconv>
#include <cstdint>
#include <string_view>

namespace patchbay::router::guest {

class CommandLine {
 public:
  explicit constexpr CommandLine(std::string_view text) noexcept : text_(text) {}

  /// The value of `key`, or an empty string; of several the last counts, so that a lab can override the
  /// platform.
  [[nodiscard]] constexpr std::string_view value(std::string_view key) const noexcept {
    std::string_view found;
    for (std::string_view rest = text_; !rest.empty();) {
      const std::string_view word = rest.substr(0, rest.find(' '));
      rest.remove_prefix(word.size() + (word.size() < rest.size() ? 1 : 0));
      if (word.size() > key.size() && word.starts_with(key) && word[key.size()] == '=') {
        found = word.substr(key.size() + 1);
      }
    }
    return found;
  }

  /// The value of `key` as a number, decimal or with 0x; `fallback` where it is absent or no number.
  [[nodiscard]] std::uint64_t number(std::string_view key, std::uint64_t fallback) const noexcept {
    std::string_view digits = value(key);
    int base = 10;
    if (digits.starts_with("0x")) {
      digits.remove_prefix(2);
      base = 16;
    }
    std::uint64_t result = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), result, base);
    return error == std::errc{} && end == digits.data() + digits.size() ? result : fallback;
  }

 private:
  std::string_view text_;
};

}  // namespace patchbay::router::guest
