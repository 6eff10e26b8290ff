#include "vswitch/wire.h"

#include <algorithm>

namespace patchbay::vswitch {

bool Wire::carrier(PortIndex) const noexcept {
  const auto ends = slots();
  return std::all_of(ends.begin(), ends.end(), [](const Slot& end) { return end.link_up; });
}

std::size_t Wire::distribute(PortIndex source_index, Frames frames, Workspace&) {
  const auto ends = slots();
  Slot& source = ends[source_index];
  const auto peer_index = static_cast<std::size_t>(1 - source_index);
  if (peer_index >= ends.size() || ends[peer_index].port == nullptr) {
    account(*source.port, frames);
    source.port->counters.in.drop(DropReason::no_destination, frames.size());
    show(source, Direction::from_port, frames);
    return frames.size();
  }

  Slot& peer = ends[peer_index];
  const Delivery delivery = deliver(source, peer, frames, lossless_);
  account(*source.port, frames.first(delivery.consumed));
  source.port->counters.in.forwarded.add(delivery.consumed);
  // After the delivery: frames that have to wait come by again, and each is to be seen once.
  if (tapped()) [[unlikely]] {
    show(source, Direction::from_port, frames.first(delivery.consumed));
    show(peer, Direction::to_port, frames.first(delivery.delivered));
  }
  return delivery.consumed;
}

}  // namespace patchbay::vswitch
