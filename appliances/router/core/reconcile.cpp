#include <algorithm>

#include "appliances/router/core/arp.h"
#include "appliances/router/core/state.h"

namespace patchbay::router {

std::size_t reconcile(RouterState& state) noexcept {
  Plane& plane = state.plane;
  for (auto& interface : plane.interfaces) {
    const auto& settings = state.configuration.interfaces()[interface.id];
    const bool was_up = interface.active;
    const auto old_list = interface.address_list;
    const auto old_addresses = std::span(old_list).first(interface.address_count);

    interface.shutdown = settings.shutdown;
    interface.mtu = settings.mtu == 0 ? settings.card_mtu : settings.mtu;
    interface.address_list = settings.address_list;
    interface.address_count = settings.address_count;
    interface.active = interface.up();

    const auto addresses = interface.addresses();
    if (!interface.active) {
      arp_forget(plane, interface.id, true);
      continue;
    }
    if (!std::equal(addresses.begin(), addresses.end(), old_addresses.begin(), old_addresses.end())) {
      arp_forget(plane, interface.id, false);
    }
    for (const auto& own : addresses) {
      const bool known = std::find(old_addresses.begin(), old_addresses.end(), own) != old_addresses.end();
      if (!was_up || !known) arp_announce(plane, interface.id, own.address);
    }
  }
  return plane.routes.rebuild(plane.interfaces, state.configuration.static_routes());
}

}  // namespace patchbay::router
