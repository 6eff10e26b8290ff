#include "vswitch/wire.h"

#include <algorithm>

namespace patchbay::vswitch {

bool Wire::carrier(PortIndex) const noexcept {
  const auto ends = slots();
  return std::all_of(ends.begin(), ends.end(), [](const Slot& end) { return end.link_up; });
}

std::size_t Wire::distribute(PortIndex source_index, Frames frames, Workspace& workspace) {
  const auto ends = slots();
  Slot& source = ends[source_index];
  const auto peer_index = static_cast<std::size_t>(1 - source_index);
  if (peer_index >= ends.size() || ends[peer_index].port == nullptr) {
    account(*source.port, frames);
    source.port->counters.in.drop(DropReason::no_destination, frames.size());
    show(source, Direction::from_port, frames, workspace);
    return frames.size();
  }

  Slot& peer = ends[peer_index];
  // Frames that have to wait come by again, and each is to be seen once: the delivery shows them at both ends.
  const std::size_t consumed =
      deliver(source, peer, frames, workspace, {.wait = lossless_, .taps_at_source = true});
  account(*source.port, frames.first(consumed));
  source.port->counters.in.forwarded.add(consumed);
  return consumed;
}

}  // namespace patchbay::vswitch
