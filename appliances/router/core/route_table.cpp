#include "appliances/router/core/route_table.h"

#include <algorithm>

namespace patchbay::router {

bool resolve_static_route(std::span<const Interface> interfaces, const StaticRoute& route,
                          NextHop& next_hop) noexcept {
  next_hop = NextHop{};
  switch (route.kind) {
    case StaticRoute::Kind::blackhole:
      next_hop.kind = NextHop::Kind::blackhole;
      return true;
    case StaticRoute::Kind::reject:
      next_hop.kind = NextHop::Kind::reject;
      return true;
    case StaticRoute::Kind::interface:
      next_hop.kind = NextHop::Kind::attached;
      next_hop.interface = route.interface;
      return interfaces[route.interface].up() && interfaces[route.interface].address_count != 0;
    case StaticRoute::Kind::gateway:
      break;
  }
  next_hop.kind = NextHop::Kind::gateway;
  next_hop.gateway = route.gateway;
  if (route.interface != kNoInterface) {
    next_hop.interface = route.interface;
    const Interface& interface = interfaces[route.interface];
    return interface.up() && interface.address_count != 0 && !interface.owns(route.gateway);
  }
  const Ipv4Prefix* best = nullptr;
  for (const auto& interface : interfaces) {
    if (!interface.up()) continue;
    const Ipv4Prefix* own = interface.connected(route.gateway);
    if (own == nullptr || (best != nullptr && best->length >= own->length)) continue;
    best = own;
    next_hop.interface = interface.id;
  }
  if (best == nullptr) return false;
  const Interface& interface = interfaces[next_hop.interface];
  return !interface.owns(route.gateway) && !interface.is_broadcast(route.gateway);
}

bool RouteTable::install(Ipv4Prefix prefix, const NextHop& next_hop) noexcept {
  const auto known = next_hops_.first(next_hop_count_);
  // Static routes are sorted by prefix, not by next hop; the last few next hops are the likeliest.
  auto found = std::find_if(known.rbegin(), known.rend(),
                            [&](const NextHop& other) { return other.same_as(next_hop); });
  std::size_t index = 0;
  if (found != known.rend()) {
    index = static_cast<std::size_t>(&*found - next_hops_.data());
  } else {
    if (next_hop_count_ == next_hops_.size()) return false;
    index = next_hop_count_;
    next_hops_[next_hop_count_++] = next_hop;
  }
  return fib_.insert(prefix, static_cast<Fib::Value>(index));
}

void RouteTable::add_connected(const ConnectedRoute& route) noexcept {
  if (connected_count_ == connected_.size()) return;
  const auto end = connected_.begin() + static_cast<std::ptrdiff_t>(connected_count_);
  const auto at = std::upper_bound(connected_.begin(), end, route,
                                   [](const auto& a, const auto& b) { return a.prefix < b.prefix; });
  std::move_backward(at, end, end + 1);
  *at = route;
  ++connected_count_;
}

std::size_t RouteTable::rebuild(std::span<const Interface> interfaces,
                                std::span<StaticRoute> statics) noexcept {
  fib_.clear();
  next_hop_count_ = 0;
  connected_count_ = 0;
  std::size_t no_room = 0;

  // Networks before addresses: where a /32 is both, the address wins.
  for (const auto& interface : interfaces) {
    if (!interface.up()) continue;
    for (const auto& own : interface.addresses()) {
      const NextHop attached{NextHop::Kind::attached, interface.id, {}};
      const NextHop broadcast{NextHop::Kind::broadcast, interface.id, {}};
      add_connected({own.network(), interface.id, false});
      if (!install(own.network(), attached)) ++no_room;
      if (!own.has_broadcast()) continue;
      if (!install({own.broadcast(), 32}, broadcast)) ++no_room;
      if (!install({own.network().address, 32}, broadcast)) ++no_room;
    }
  }
  for (const auto& interface : interfaces) {
    if (!interface.up()) continue;
    for (const auto& own : interface.addresses()) {
      add_connected({{own.address, 32}, interface.id, true});
      if (!install({own.address, 32}, {NextHop::Kind::local, interface.id, {}})) ++no_room;
    }
  }

  // Sorted by prefix and distance: the first usable route of a prefix is the one.
  for (auto& route : statics)
    route.installed = false;
  const StaticRoute* installed = nullptr;
  for (auto& route : statics) {
    if (installed != nullptr && installed->prefix == route.prefix) continue;
    NextHop next_hop;
    if (!resolve_static_route(interfaces, route, next_hop)) continue;
    if (fib_.find(route.prefix)) continue;  // connected: distance 0
    if (install(route.prefix, next_hop)) {
      route.installed = true;
      installed = &route;
    } else {
      ++no_room;
    }
  }
  return no_room;
}

}  // namespace patchbay::router
