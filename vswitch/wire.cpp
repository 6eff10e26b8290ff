#include "vswitch/wire.h"

#include <algorithm>

namespace patchbay::vswitch {

bool Wire::carrier(PortIndex) const noexcept {
  const auto ends = slots();
  return std::all_of(ends.begin(), ends.end(), [](const Slot& end) { return end.link_up; });
}

std::size_t Wire::distribute(const Origin& origin, Frames frames, Workspace& workspace) {
  const auto ends = slots();
  const auto peer_index = static_cast<std::size_t>(1 - origin.index);
  if (peer_index >= ends.size() || ends[peer_index].port == nullptr) {
    account(origin, frames);
    origin.counters.drop(DropReason::no_destination, frames.size());
    show(origin.slot, Direction::from_port, frames, workspace);
    return frames.size();
  }

  // Frames that have to wait come by again, and each is to be seen once: the delivery shows them at both
  // ends.
  const std::size_t consumed =
      deliver(origin, ends[peer_index], frames, workspace, {.wait = lossless_, .taps_at_source = true});
  account(origin, frames.first(consumed));
  origin.counters.forwarded.add(consumed);
  return consumed;
}

}  // namespace patchbay::vswitch
