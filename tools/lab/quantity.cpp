#include "tools/lab/quantity.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>

namespace patchbay::tools {
namespace {

struct Quantity {
  double number = 0;
  std::string unit;  // lower case
};

struct Unit {
  std::string_view name;
  double factor;
};

std::optional<Quantity> read_quantity(std::string_view text) {
  Quantity quantity;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), quantity.number, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(quantity.number) || quantity.number < 0) return std::nullopt;
  std::string_view rest(end, static_cast<std::size_t>(text.data() + text.size() - end));
  while (!rest.empty() && rest.front() == ' ')
    rest.remove_prefix(1);
  for (const char c : rest)
    quantity.unit += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return quantity;
}

template <std::size_t N>
std::optional<double> scaled(std::string_view text, std::string_view bare, const std::array<Unit, N>& units) {
  const std::optional<Quantity> quantity = read_quantity(text);
  if (!quantity) return std::nullopt;
  const std::string_view unit = quantity->unit.empty() ? bare : std::string_view(quantity->unit);
  const auto found = std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == unit; });
  if (found == units.end()) return std::nullopt;
  return quantity->number * found->factor;
}

constexpr std::array<Unit, 6> kDurations{
    {{"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 6e7}, {"min", 6e7}, {"h", 3.6e9}}};
constexpr std::array<Unit, 14> kSizes{{{"b", 1},
                                       {"k", 1024.0},
                                       {"kb", 1024.0},
                                       {"kib", 1024.0},
                                       {"m", 1048576.0},
                                       {"mb", 1048576.0},
                                       {"mib", 1048576.0},
                                       {"g", 1073741824.0},
                                       {"gb", 1073741824.0},
                                       {"gib", 1073741824.0},
                                       {"t", 1099511627776.0},
                                       {"tb", 1099511627776.0},
                                       {"tib", 1099511627776.0},
                                       {"bytes", 1}}};
constexpr std::array<Unit, 10> kRates{{{"bit", 1},
                                       {"kbit", 1e3},
                                       {"mbit", 1e6},
                                       {"gbit", 1e9},
                                       {"tbit", 1e12},
                                       {"bit/s", 1},
                                       {"kbit/s", 1e3},
                                       {"mbit/s", 1e6},
                                       {"gbit/s", 1e9},
                                       {"tbit/s", 1e12}}};
constexpr std::array<Unit, 1> kPercentages{{{"%", 1}}};

}  // namespace

Parsed<std::chrono::microseconds> parse_duration(std::string_view text, std::string_view bare) {
  const std::optional<double> us = scaled(text, bare, kDurations);
  if (!us) return Fault{fmt::format("'{}' is not a duration", text), "write one such as 10ms, 5s or 2m"};
  constexpr double kDay = 86400e6;
  if (*us > kDay) return Fault{fmt::format("{} is longer than a day", text), "write a shorter duration"};
  return std::chrono::microseconds(std::llround(*us));
}

Parsed<std::chrono::microseconds> parse_seconds(std::string_view text) {
  return parse_duration(text, "s");
}

Parsed<std::uint64_t> parse_size(std::string_view text) {
  const std::optional<double> bytes = scaled(text, "b", kSizes);
  constexpr double kLimit = 1e15;
  if (!bytes || *bytes > kLimit)
    return Fault{fmt::format("'{}' is not a size", text), "write one such as 64MiB or 2GiB"};
  return static_cast<std::uint64_t>(std::llround(*bytes));
}

Parsed<std::uint64_t> parse_rate(std::string_view text) {
  const std::optional<double> rate = scaled(text, "", kRates);
  if (!rate) return Fault{fmt::format("'{}' is not a rate", text), "write one such as 10mbit or 1.5gbit"};
  if (*rate < 1e3 || *rate > 1e12) {
    return Fault{fmt::format("the rate {} is out of range", text), "1kbit to 1tbit are possible"};
  }
  return static_cast<std::uint64_t>(std::llround(*rate));
}

Parsed<double> parse_percentage(std::string_view text) {
  const std::optional<double> percent = scaled(text, "%", kPercentages);
  if (!percent || *percent > 100)
    return Fault{fmt::format("'{}' is not a percentage", text), "write one from 0% to 100%"};
  return *percent;
}

Parsed<std::int64_t> parse_integer(std::string_view text, std::int64_t low, std::int64_t high) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range ||
      (error == std::errc() && end == text.data() + text.size() && (value < low || value > high))) {
    return Fault{fmt::format("{} is out of range", text), fmt::format("{} to {} are possible", low, high)};
  }
  if (error != std::errc() || end != text.data() + text.size()) {
    return Fault{fmt::format("'{}' is not a whole number", text),
                 fmt::format("write one from {} to {}", low, high)};
  }
  return value;
}

}  // namespace patchbay::tools
