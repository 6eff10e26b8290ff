// An interface as the forwarding path sees it: the card and what the configuration made of it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "appliances/router/core/address.h"
#include "appliances/router/core/counters.h"
#include "appliances/router/core/text.h"

namespace patchbay::router {

inline constexpr std::size_t kMaxInterfaces = 64;
inline constexpr std::size_t kMaxInterfaceName = 15;
inline constexpr std::size_t kMaxAddresses = 8;  // of one interface
inline constexpr std::uint32_t kMinMtu = 68;     // RFC 791, 3.2
inline constexpr std::uint32_t kMaxMtu = 65535;

struct Interface {
  InterfaceId id = kNoInterface;
  FixedText<kMaxInterfaceName> name;
  MacAddress mac;
  std::uint32_t mtu = 1500;
  bool link_up = true;
  bool shutdown = false;
  bool active = false;  // up() when routes and neighbours were last derived
  std::uint8_t address_count = 0;
  std::array<Ipv4Prefix, kMaxAddresses> address_list{};  // with host bits
  InterfaceCounters counters;

  [[nodiscard]] bool up() const noexcept { return link_up && !shutdown; }
  [[nodiscard]] std::span<const Ipv4Prefix> addresses() const noexcept {
    return std::span(address_list).first(address_count);
  }
  /// The address of ours in whose network `address` lies, the longest network first; nullptr if it is
  /// off-link.
  [[nodiscard]] const Ipv4Prefix* connected(Ipv4Address address) const noexcept {
    const Ipv4Prefix* best = nullptr;
    for (const auto& own : addresses()) {
      if (own.contains(address) && (best == nullptr || own.length > best->length)) best = &own;
    }
    return best;
  }
  [[nodiscard]] bool owns(Ipv4Address address) const noexcept {
    for (const auto& own : addresses()) {
      if (own.address == address) return true;
    }
    return false;
  }
  /// True for the broadcast address of a connected network and its obsolete form with all host bits zero
  /// (RFC 1812, 5.3.5).
  [[nodiscard]] bool is_broadcast(Ipv4Address address) const noexcept {
    for (const auto& own : addresses()) {
      if (own.has_broadcast() && own.contains(address) &&
          (address == own.broadcast() || address == own.network().address)) {
        return true;
      }
    }
    return false;
  }
};

}  // namespace patchbay::router
