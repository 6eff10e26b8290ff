// The routing table: from addresses and static routes to the forwarding table and its next hops.
//
// Everything is derived from the configuration and the state of the interfaces, and derived anew whenever one
// of them changes, so that there is no second way to arrive at a state. Changes are rare; packets only read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "appliances/router/core/address.h"
#include "appliances/router/core/config/configuration.h"
#include "appliances/router/core/fib.h"
#include "appliances/router/core/interface.h"

namespace patchbay::router {

/// What happens to packets that match a route.
struct NextHop {
  enum class Kind : std::uint8_t {
    local,      // our own address
    broadcast,  // of a connected network
    attached,   // the destination is a neighbour on `interface`
    gateway,    // to the neighbour `gateway` on `interface`
    blackhole,  // dropped in silence
    reject,     // dropped, and the sender is told
  };
  Kind kind = Kind::blackhole;
  InterfaceId interface = kNoInterface;
  Ipv4Address gateway;
  std::uint32_t neighbor_hint = ~std::uint32_t{0};  // where NeighborTable found the gateway last

  [[nodiscard]] bool same_as(const NextHop& other) const noexcept {
    return kind == other.kind && interface == other.interface && gateway == other.gateway;
  }
};

/// A route that comes with an interface's address: its network or, as /32, the address itself.
struct ConnectedRoute {
  Ipv4Prefix prefix;
  InterfaceId interface = kNoInterface;
  bool local = false;
};

class RouteTable {
 public:
  RouteTable(std::span<std::uint64_t> fib_memory, std::span<NextHop> next_hops,
             std::span<ConnectedRoute> connected) noexcept
      : fib_(fib_memory), next_hops_(next_hops), connected_(connected) {}

  /// Derives everything anew. Routes for which there is no room, or whose next hop is not reachable, are not
  /// installed; StaticRoute::installed tells. Returns the number of routes for which there was no room.
  std::size_t rebuild(std::span<const Interface> interfaces, std::span<StaticRoute> statics) noexcept;

  [[nodiscard]] const Fib& fib() const noexcept { return fib_; }
  /// The next hop behind a value of the forwarding table.
  [[nodiscard]] NextHop& next_hop(Fib::Value value) noexcept { return next_hops_[value]; }
  /// Where packets to `address` go; nullptr if no route matches.
  [[nodiscard]] NextHop* lookup(Ipv4Address address) noexcept {
    const Fib::Value value = fib_.lookup(address);
    return value == Fib::kNoMatch ? nullptr : &next_hops_[value];
  }
  /// Sorted by prefix.
  [[nodiscard]] std::span<const ConnectedRoute> connected() const noexcept {
    return connected_.first(connected_count_);
  }

 private:
  [[nodiscard]] bool install(Ipv4Prefix prefix, const NextHop& next_hop) noexcept;
  void add_connected(const ConnectedRoute& route) noexcept;

  Fib fib_;
  std::span<NextHop> next_hops_;
  std::size_t next_hop_count_ = 0;
  std::span<ConnectedRoute> connected_;
  std::size_t connected_count_ = 0;
};

/// Fills in the interface through which a static route leaves: the one it names, or the one on whose network
/// its gateway lies. Returns false if the route cannot be used now.
[[nodiscard]] bool resolve_static_route(std::span<const Interface> interfaces, const StaticRoute& route,
                                        NextHop& next_hop) noexcept;

}  // namespace patchbay::router
