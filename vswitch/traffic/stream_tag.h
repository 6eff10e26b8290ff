// What a generator writes into each frame so that the sink can account for it: whose frame, of which trial,
// the how-manieth, sent when. Big-endian, right behind the UDP header; 18 bytes, which is all that a frame of
// 64 bytes (FCS included) has room for.
//
//   0        2        3       4                10                18
//   +--------+--------+-------+----------------+-----------------+
//   | magic  | stream | trial | sequence       | sent, ns        |
//   +--------+--------+-------+----------------+-----------------+
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace patchbay::vswitch::traffic {

struct StreamTag {
  std::uint8_t stream = 0;
  std::uint8_t trial = 0;
  std::uint64_t sequence = 0;  // 48 bits
  std::int64_t sent = 0;       // nanoseconds of a monotonic clock
};

inline constexpr std::size_t kTagBytes = 18;
inline constexpr std::uint16_t kTagMagic = 0x7062;
inline constexpr std::uint64_t kMaxSequence = (std::uint64_t{1} << 48) - 1;

namespace detail {

template <std::size_t Bytes>
inline void put(std::byte* at, std::uint64_t value) noexcept {
  for (std::size_t i = 0; i < Bytes; ++i)
    at[i] = static_cast<std::byte>(value >> (8 * (Bytes - 1 - i)));
}

template <std::size_t Bytes>
inline std::uint64_t get(const std::byte* at) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < Bytes; ++i)
    value = value << 8 | std::to_integer<std::uint64_t>(at[i]);
  return value;
}

}  // namespace detail

inline void write_tag(std::span<std::byte, kTagBytes> to, const StreamTag& tag) noexcept {
  detail::put<2>(to.data(), kTagMagic);
  to[2] = static_cast<std::byte>(tag.stream);
  to[3] = static_cast<std::byte>(tag.trial);
  detail::put<6>(to.data() + 4, tag.sequence);
  detail::put<8>(to.data() + 10, static_cast<std::uint64_t>(tag.sent));
}

[[nodiscard]] inline std::optional<StreamTag> read_tag(std::span<const std::byte, kTagBytes> from) noexcept {
  if (detail::get<2>(from.data()) != kTagMagic) return std::nullopt;
  return StreamTag{std::to_integer<std::uint8_t>(from[2]), std::to_integer<std::uint8_t>(from[3]),
                   detail::get<6>(from.data() + 4),
                   static_cast<std::int64_t>(detail::get<8>(from.data() + 10))};
}

}  // namespace patchbay::vswitch::traffic
