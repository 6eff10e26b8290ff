// The configuration as data: what `show running-config` prints and from which the router derives its state.
//
// It knows the names of the interfaces but no router, so the lab tool validates text with it before
// deploying.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "appliances/router/core/address.h"
#include "appliances/router/core/arena.h"
#include "appliances/router/core/interface.h"
#include "appliances/router/core/text.h"

namespace patchbay::router {

inline constexpr std::size_t kMaxHostname = 63;

/// A network card as the driver found it. The name is copied (at most kMaxInterfaceName characters).
struct InterfaceConfig {
  std::string_view name;     // "eth0"
  MacAddress mac;            // an individual address
  std::uint32_t mtu = 1500;  // the largest IP packet the card can send and receive, kMinMtu to kMaxMtu
};

struct InterfaceSettings {
  FixedText<kMaxInterfaceName> name;
  std::uint32_t card_mtu = 1500;
  // configured:
  FixedText<80> description;
  std::uint32_t mtu = 0;  // 0: the card's
  bool shutdown = false;
  std::uint8_t address_count = 0;
  std::array<Ipv4Prefix, kMaxAddresses> address_list{};  // with host bits, in the order of configuration

  [[nodiscard]] std::span<const Ipv4Prefix> addresses() const noexcept {
    return std::span(address_list).first(address_count);
  }
};

struct StaticRoute {
  enum class Kind : std::uint8_t { gateway, interface, blackhole, reject };

  Ipv4Prefix prefix;  // host bits are zero
  std::uint8_t distance = 1;
  Kind kind = Kind::blackhole;
  bool installed = false;                // state, not configuration: it is what packets follow
  InterfaceId interface = kNoInterface;  // may be given for a gateway too: the gateway is then on-link there
  Ipv4Address gateway;

  [[nodiscard]] bool same_target(const StaticRoute& other) const noexcept {
    return kind == other.kind && interface == other.interface && gateway == other.gateway;
  }
};

class Configuration {
 public:
  /// Copies the interfaces into the arena and reserves room for `max_static_routes`. Check valid()
  /// afterwards.
  Configuration(std::span<const InterfaceConfig> interfaces, std::string_view hostname, Arena& arena,
                std::size_t max_static_routes) noexcept;
  /// False if the arena was too small.
  [[nodiscard]] bool valid() const noexcept { return valid_; }

  [[nodiscard]] std::string_view hostname() const noexcept { return hostname_.view(); }
  void set_hostname(std::string_view name) noexcept { hostname_.assign(name); }

  [[nodiscard]] std::span<InterfaceSettings> interfaces() noexcept { return interfaces_; }
  [[nodiscard]] std::span<const InterfaceSettings> interfaces() const noexcept { return interfaces_; }
  [[nodiscard]] std::optional<InterfaceId> find_interface(std::string_view name) const noexcept;

  /// Sorted by prefix, then distance, then target.
  [[nodiscard]] std::span<StaticRoute> static_routes() noexcept { return routes_.first(route_count_); }
  [[nodiscard]] std::span<const StaticRoute> static_routes() const noexcept {
    return routes_.first(route_count_);
  }
  /// Adds a route, or changes the distance of one with the same prefix and target. False if there is no room.
  [[nodiscard]] bool add_static_route(const StaticRoute& route) noexcept;
  /// Removes the route with this prefix and target, whatever its distance. False if there is none.
  bool remove_static_route(const StaticRoute& route) noexcept;

 private:
  FixedText<kMaxHostname> hostname_;
  std::span<InterfaceSettings> interfaces_;
  std::span<StaticRoute> routes_;
  std::size_t route_count_ = 0;
  bool valid_ = false;
};

}  // namespace patchbay::router
