// Everything a router is: its configuration and the forwarding path derived from it.
#pragma once

#include <string_view>

#include "appliances/router/core/config/configuration.h"
#include "appliances/router/core/plane.h"

namespace patchbay::router {

struct RouterState {
  Plane plane;
  Configuration configuration;
  FixedText<64> version;
  Nanoseconds started = kNever;  // time of the first call that told the time
};

/// Brings interfaces, neighbours and routes in line with the configuration and the carriers. Returns the
/// number of routes for which there was no room.
std::size_t reconcile(RouterState& state) noexcept;

}  // namespace patchbay::router
