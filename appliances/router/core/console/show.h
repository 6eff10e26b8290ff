// What the show commands print.
#pragma once

#include "appliances/router/core/address.h"
#include "appliances/router/core/console/printer.h"
#include "appliances/router/core/state.h"

namespace patchbay::router {

void show_interfaces(Printer& printer, const RouterState& state) noexcept;
void show_interface(Printer& printer, const RouterState& state, InterfaceId id) noexcept;
void show_interfaces_brief(Printer& printer, const RouterState& state) noexcept;
void show_routes(Printer& printer, const RouterState& state) noexcept;
/// The route that packets to `destination` take.
void show_route(Printer& printer, RouterState& state, Ipv4Address destination) noexcept;
void show_neighbors(Printer& printer, const RouterState& state) noexcept;
void show_counters(Printer& printer, const RouterState& state) noexcept;
void show_version(Printer& printer, const RouterState& state) noexcept;
/// The configuration as text that, given at boot, leads to the same configuration.
void show_running_config(Printer& printer, const Configuration& configuration) noexcept;

}  // namespace patchbay::router
