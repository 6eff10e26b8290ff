// Repeatable randomness for impairments: SplitMix64 (Steele, Lea, Flood 2014), the same on every machine,
// which the standard library's distributions are not.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace patchbay::vswitch {

class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    std::uint64_t z = state_ += 0x9E37'79B9'7F4A'7C15U;
    z = (z ^ z >> 30) * 0xBF58'476D'1CE4'E5B9U;
    z = (z ^ z >> 27) * 0x94D0'49BB'1331'11EBU;
    return z ^ z >> 31;
  }
  /// From 0 to bound - 1; bound > 0. Its bias is below bound / 2^64.
  std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }
  /// True with this probability. Draws nothing if it is 0.
  bool chance(double probability) noexcept {
    constexpr double kUnit = 0x1p-53;
    return probability > 0 && static_cast<double>(next() >> 11) * kUnit < probability;
  }

 private:
  std::uint64_t state_;
};

/// A seed that belongs to a list of names (FNV-1a): {"lab", "h1", "eth1"}.
[[nodiscard]] constexpr std::uint64_t seed_of(std::initializer_list<std::string_view> names) noexcept {
  std::uint64_t hash = 0xCBF2'9CE4'8422'2325U;
  const auto mix = [&hash](unsigned char c) { hash = (hash ^ c) * 0x0000'0100'0000'01B3U; };
  for (const std::string_view name : names) {
    for (const char c : name)
      mix(static_cast<unsigned char>(c));
    mix(0);
  }
  return hash;
}

}  // namespace patchbay::vswitch
