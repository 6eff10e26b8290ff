#include "appliances/router/core/config/configuration.h"

#include <algorithm>
#include <tuple>

namespace patchbay::router {
namespace {

auto sort_key(const StaticRoute& route) noexcept {
  return std::tuple(route.prefix, route.distance, route.kind, route.gateway, route.interface);
}

}  // namespace

Configuration::Configuration(std::span<const InterfaceConfig> interfaces, std::string_view hostname,
                             Arena& arena, std::size_t max_static_routes) noexcept
    : hostname_(hostname),
      interfaces_(arena.make_array<InterfaceSettings>(interfaces.size())),
      routes_(arena.make_array<StaticRoute>(max_static_routes)) {
  valid_ = interfaces_.size() == interfaces.size() && routes_.size() == max_static_routes;
  for (std::size_t i = 0; i < interfaces_.size(); ++i) {
    interfaces_[i].name.assign(interfaces[i].name);
    interfaces_[i].card_mtu = interfaces[i].mtu;
  }
}

std::optional<InterfaceId> Configuration::find_interface(std::string_view name) const noexcept {
  for (std::size_t i = 0; i < interfaces_.size(); ++i) {
    if (interfaces_[i].name == name) return static_cast<InterfaceId>(i);
  }
  return std::nullopt;
}

bool Configuration::add_static_route(const StaticRoute& route) noexcept {
  remove_static_route(route);
  if (route_count_ == routes_.size()) return false;
  const auto routes = static_routes();
  const auto at = std::upper_bound(routes.begin(), routes.end(), route,
                                   [](const auto& a, const auto& b) { return sort_key(a) < sort_key(b); });
  const auto index = static_cast<std::size_t>(at - routes.begin());
  ++route_count_;
  const auto grown = static_routes();
  std::move_backward(grown.begin() + static_cast<std::ptrdiff_t>(index), grown.end() - 1, grown.end());
  grown[index] = route;
  return true;
}

bool Configuration::remove_static_route(const StaticRoute& route) noexcept {
  const auto routes = static_routes();
  auto at = std::lower_bound(routes.begin(), routes.end(), route.prefix,
                             [](const StaticRoute& a, Ipv4Prefix prefix) { return a.prefix < prefix; });
  while (at != routes.end() && at->prefix == route.prefix && !at->same_target(route))
    ++at;
  if (at == routes.end() || at->prefix != route.prefix) return false;
  std::move(at + 1, routes.end(), at);
  --route_count_;
  return true;
}

}  // namespace patchbay::router
