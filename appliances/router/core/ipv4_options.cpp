#include "appliances/router/core/ipv4_options.h"

#include <algorithm>
#include <cstring>

#include "appliances/router/core/checksum.h"

namespace patchbay::router {
namespace {

constexpr std::uint8_t kCopied = 0x80;

std::span<std::byte> options_of(Ipv4Header& header) noexcept {
  return std::span(reinterpret_cast<std::byte*>(&header), header.header_bytes()).subspan(kIpv4Bytes);
}
std::span<const std::byte> options_of(const Ipv4Header& header) noexcept {
  return std::span(reinterpret_cast<const std::byte*>(&header), header.header_bytes()).subspan(kIpv4Bytes);
}

std::uint8_t byte_at(std::span<const std::byte> bytes, std::size_t at) noexcept {
  return static_cast<std::uint8_t>(bytes[at]);
}

/// Length of the option at the front of `options`, whose lengths have been checked.
std::size_t option_bytes(std::span<const std::byte> options) noexcept {
  return byte_at(options, 0) == static_cast<std::uint8_t>(Ipv4Option::no_operation) ? 1 : byte_at(options, 1);
}

bool is(std::span<const std::byte> option, Ipv4Option type) noexcept {
  return byte_at(option, 0) == static_cast<std::uint8_t>(type);
}

/// The smallest value that the pointer octet of an option may have (RFC 791), counted from 1.
constexpr std::uint8_t kFirstRoutePointer = 4;
constexpr std::uint8_t kFirstTimestampPointer = 5;

/// Offset in the option of the octet that is wrong, 0 if none is.
std::size_t bad_octet(std::span<const std::byte> option) noexcept {
  const std::size_t length = option.size();
  if (is(option, Ipv4Option::record_route)) {
    if (length < 3) return 1;
    return byte_at(option, 2) < kFirstRoutePointer ? 2 : 0;
  }
  if (is(option, Ipv4Option::timestamp)) {
    if (length < 4) return 1;
    if (byte_at(option, 2) < kFirstTimestampPointer) return 2;
    const unsigned flag = byte_at(option, 3) & 0xFU;
    return flag == 0 || flag == 1 || flag == 3 ? 0 : 3;
  }
  return 0;
}

void put_word(std::span<std::byte> option, std::size_t at, std::uint32_t value) noexcept {
  view_as<BigEndian32>(option.data() + at) = value;
}

bool record_route(std::span<std::byte> option, Ipv4Address own) noexcept {
  const std::size_t at = byte_at(option, 2) - std::size_t{1};
  if (at + 4 > option.size()) return false;  // full: forwarded as it is
  put_word(option, at, own.value);
  option[2] = static_cast<std::byte>(at + 5);
  return true;
}

bool record_time(std::span<std::byte> option, Ipv4Address own, Nanoseconds now) noexcept {
  const std::size_t at = byte_at(option, 2) - std::size_t{1};
  const unsigned flag = byte_at(option, 3) & 0xFU;
  const std::size_t entry = flag == 0 ? 4 : 8;
  if (at + entry > option.size()) {
    // The overflow count; at its end the packet is simply not counted further.
    if (byte_at(option, 3) >> 4 == 0xF) return false;
    option[3] = static_cast<std::byte>(byte_at(option, 3) + 0x10U);
    return true;
  }
  // Milliseconds of an arbitrary clock: the high bit says that it is not universal time.
  const auto milliseconds = static_cast<std::uint32_t>(now / kMillisecond) | 0x8000'0000U;
  if (flag == 3 && view_as<BigEndian32>(option.data() + at).address() != own) return false;
  if (flag != 0) put_word(option, at, own.value);
  put_word(option, at + entry - 4, milliseconds);
  option[2] = static_cast<std::byte>(at + entry + 1);
  return true;
}

}  // namespace

OptionsCheck check_options(const Ipv4Header& header) noexcept {
  const auto options = options_of(header);
  OptionsCheck check;
  const auto malformed = [](std::size_t at) {
    return OptionsCheck{OptionsCheck::Result::malformed, static_cast<std::uint8_t>(kIpv4Bytes + at)};
  };
  for (std::size_t at = 0; at < options.size();) {
    const auto rest = options.subspan(at);
    if (is(rest, Ipv4Option::end)) break;
    if (is(rest, Ipv4Option::no_operation)) {
      ++at;
      continue;
    }
    if (rest.size() < 2) return malformed(at);
    const std::size_t length = byte_at(rest, 1);
    if (length < 2 || length > rest.size()) return malformed(at + 1);
    const auto option = rest.first(length);
    if (is(option, Ipv4Option::loose_source_route) || is(option, Ipv4Option::strict_source_route)) {
      check.result = OptionsCheck::Result::source_route;
    }
    if (const std::size_t octet = bad_octet(option); octet != 0) return malformed(at + octet);
    at += length;
  }
  return check;
}

bool fill_in_options(Ipv4Header& header, Ipv4Address own, Nanoseconds now) noexcept {
  const auto options = options_of(header);
  bool changed = false;
  for (std::size_t at = 0; at < options.size();) {
    const auto rest = options.subspan(at);
    if (is(rest, Ipv4Option::end)) break;
    const auto option = rest.first(option_bytes(rest));
    if (is(option, Ipv4Option::record_route)) changed |= record_route(option, own);
    if (is(option, Ipv4Option::timestamp)) changed |= record_time(option, own, now);
    at += option.size();
  }
  if (changed) {
    header.checksum = 0;
    header.checksum = internet_checksum({reinterpret_cast<const std::byte*>(&header), header.header_bytes()});
  }
  return changed;
}

std::size_t copy_header_for_later_fragments(const Ipv4Header& header,
                                            std::span<std::byte, kMaxIpv4HeaderBytes> copy) noexcept {
  std::memcpy(copy.data(), &header, kIpv4Bytes);
  std::size_t length = kIpv4Bytes;
  const auto options = options_of(header);
  for (std::size_t at = 0; at < options.size();) {
    const auto rest = options.subspan(at);
    if (is(rest, Ipv4Option::end)) break;
    const std::size_t bytes = option_bytes(rest);
    if ((byte_at(rest, 0) & kCopied) != 0) {
      std::memcpy(copy.data() + length, rest.data(), bytes);
      length += bytes;
    }
    at += bytes;
  }
  for (; length % 4 != 0; ++length)
    copy[length] = static_cast<std::byte>(Ipv4Option::end);
  copy[0] = static_cast<std::byte>(0x40U | length / 4);
  return length;
}

}  // namespace patchbay::router
