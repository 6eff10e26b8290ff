// Durations, sizes, rates and percentages as lab files write them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "tools/lab/parsed.h"

namespace patchbay::tools {

/// "10ms", "1.5s", "250us", "2m"; a bare number has the unit `bare`. At most one day. Whole microseconds.
[[nodiscard]] Parsed<std::chrono::microseconds> parse_duration(std::string_view text, std::string_view bare);

/// The same where a bare number is seconds, as containerlab has it for healthchecks.
[[nodiscard]] Parsed<std::chrono::microseconds> parse_seconds(std::string_view text);

/// Bytes: "64MiB", "512MB", "1Gb", "2g", "65536". As in containerlab, all of k, m and g count in powers of
/// 1024.
[[nodiscard]] Parsed<std::uint64_t> parse_size(std::string_view text);

/// Bits per second: "10mbit", "1.5Gbit/s", "64kbit"; powers of 1000. At least 1 kbit/s, at most 1 Tbit/s.
[[nodiscard]] Parsed<std::uint64_t> parse_rate(std::string_view text);

/// "0.5%" or "0.5" to 0.5; from 0 to 100.
[[nodiscard]] Parsed<double> parse_percentage(std::string_view text);

/// A whole number from `low` to `high`.
[[nodiscard]] Parsed<std::int64_t> parse_integer(std::string_view text, std::int64_t low, std::int64_t high);

}  // namespace patchbay::tools
