// Integers as they lie in packets: big-endian, at any alignment.
//
// The header structs of ethernet.h, arp.h, ipv4_header.h and icmp.h consist of these and of bytes, so they
// have alignment 1 and may be laid over any place of a frame with view_as().
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "appliances/router/core/address.h"

namespace patchbay::router {

static_assert(std::endian::native == std::endian::little, "the conversions below swap bytes");

class BigEndian16 {
 public:
  constexpr BigEndian16() = default;
  BigEndian16& operator=(std::uint16_t value) noexcept {
    value = __builtin_bswap16(value);
    std::memcpy(bytes_.data(), &value, sizeof(value));
    return *this;
  }
  operator std::uint16_t() const noexcept {  // NOLINT(google-explicit-constructor): it is that integer
    std::uint16_t value = 0;
    std::memcpy(&value, bytes_.data(), sizeof(value));
    return __builtin_bswap16(value);
  }

 private:
  std::array<std::uint8_t, 2> bytes_{};
};

class BigEndian32 {
 public:
  constexpr BigEndian32() = default;
  BigEndian32& operator=(std::uint32_t value) noexcept {
    value = __builtin_bswap32(value);
    std::memcpy(bytes_.data(), &value, sizeof(value));
    return *this;
  }
  operator std::uint32_t() const noexcept {  // NOLINT(google-explicit-constructor): it is that integer
    std::uint32_t value = 0;
    std::memcpy(&value, bytes_.data(), sizeof(value));
    return __builtin_bswap32(value);
  }
  BigEndian32& operator=(Ipv4Address address) noexcept { return *this = address.value; }
  [[nodiscard]] Ipv4Address address() const noexcept { return {std::uint32_t{*this}}; }

 private:
  std::array<std::uint8_t, 4> bytes_{};
};

static_assert(sizeof(BigEndian16) == 2 && alignof(BigEndian16) == 1);
static_assert(sizeof(BigEndian32) == 4 && alignof(BigEndian32) == 1);

/// The header at `bytes`, which must hold sizeof(Header) bytes.
template <typename Header>
[[nodiscard]] Header& view_as(std::byte* bytes) noexcept {
  static_assert(alignof(Header) == 1);
  return *reinterpret_cast<Header*>(bytes);
}
template <typename Header>
[[nodiscard]] const Header& view_as(const std::byte* bytes) noexcept {
  static_assert(alignof(Header) == 1);
  return *reinterpret_cast<const Header*>(bytes);
}

}  // namespace patchbay::router
