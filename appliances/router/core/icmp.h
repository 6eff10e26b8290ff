// ICMP messages (RFC 792, RFC 1191, RFC 1812 chapter 4.3).
#pragma once

#include <cstddef>
#include <cstdint>

#include "appliances/router/core/wire.h"

namespace patchbay::router {

enum class IcmpType : std::uint8_t {
  echo_reply = 0,
  destination_unreachable = 3,
  redirect = 5,
  echo_request = 8,
  time_exceeded = 11,
  parameter_problem = 12,
};

namespace icmp_code {
inline constexpr std::uint8_t kNetUnreachable = 0;
inline constexpr std::uint8_t kHostUnreachable = 1;
inline constexpr std::uint8_t kProtocolUnreachable = 2;
inline constexpr std::uint8_t kPortUnreachable = 3;
inline constexpr std::uint8_t kFragmentationNeeded = 4;
inline constexpr std::uint8_t kSourceRouteFailed = 5;
inline constexpr std::uint8_t kProhibited = 13;
inline constexpr std::uint8_t kRedirectHost = 1;
inline constexpr std::uint8_t kTtlExceeded = 0;
inline constexpr std::uint8_t kReassemblyTimeExceeded = 1;
inline constexpr std::uint8_t kPointerIndicatesError = 0;
}  // namespace icmp_code

struct IcmpHeader {
  std::uint8_t type;
  std::uint8_t code;
  BigEndian16 checksum;
  /// Depends on the type: identifier and sequence number, next-hop MTU, gateway, pointer.
  BigEndian32 rest;
};
static_assert(sizeof(IcmpHeader) == 8 && alignof(IcmpHeader) == 1);

struct IcmpEcho {
  std::uint8_t type;
  std::uint8_t code;
  BigEndian16 checksum;
  BigEndian16 identifier;
  BigEndian16 sequence;
};
static_assert(sizeof(IcmpEcho) == sizeof(IcmpHeader));

inline constexpr std::size_t kIcmpBytes = sizeof(IcmpHeader);

/// True for messages that must not be answered with an error (RFC 1812, 4.3.2.7). Types we do not know count
/// as errors: better silent than in a loop.
[[nodiscard]] constexpr bool is_icmp_error(std::uint8_t type) noexcept {
  switch (type) {
    case 0:   // echo reply
    case 8:   // echo request
    case 9:   // router advertisement
    case 10:  // router solicitation
    case 13:  // timestamp
    case 14:  // timestamp reply
    case 15:  // information request
    case 16:  // information reply
    case 17:  // address mask request
    case 18:  // address mask reply
      return false;
    default:
      return true;
  }
}

}  // namespace patchbay::router
