#include "vswitch/bridge.h"

#include <bit>

namespace patchbay::vswitch {

namespace {

static_assert(std::endian::native == std::endian::little, "addresses are compared as little-endian numbers");

// 01-80-C2-00-00-00 to -0F, table 8-1: never relayed by a bridge (8.6.3).
constexpr MacKey kReserved = 0x00'00'00'c2'80'01;
constexpr MacKey kReservedMask = 0xf0'ff'ff'ff'ff'ff;
constexpr MacKey kNoAddress = ~MacKey{0};  // longer than any

}  // namespace

std::size_t Bridge::distribute(const Origin& origin, Frames frames, Workspace& workspace) {
  account(origin, frames);
  if (tapped()) [[unlikely]]
    show(origin.slot, Direction::from_port, frames, workspace);

  classify(origin, frames, workspace);
  if (workspace.groups.flooded() == 0) {
    send_to_groups(origin, frames, workspace);
  } else {
    send_to_all(origin, frames, workspace);
  }
  return frames.size();
}

void Bridge::classify(const Origin& origin, Frames frames, Workspace& workspace) {
  PortCounters::In& in = origin.counters;
  const std::uint32_t now = workspace.now;
  std::array<MacKey, kBurstFrames> destinations;
  std::array<bool, kBurstFrames> dropped;
  MacKey last_source = kNoAddress;
  MacKey last_destination = kNoAddress;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    destinations[i] = load_mac(&frames[i]->header[0]);
    if (destinations[i] != last_destination) table_.prefetch(destinations[i]);
    last_destination = destinations[i];
    const MacKey from = load_mac(&frames[i]->header[6]);
    dropped[i] = true;
    if (is_group(from) || from == 0) {
      in.drop(DropReason::bad_source_mac);
      continue;
    }
    // Trains of frames from one address are the rule: learn it once.
    if (from != last_source) learn(from, origin.index, now);
    last_source = from;
    if ((destinations[i] & kReservedMask) == kReserved) {
      in.drop(DropReason::reserved_multicast);
      continue;
    }
    dropped[i] = false;
  }

  // Group addresses are never learned, so they come out as unknown, and are flooded like those. Trains to one
  // address are looked up once.
  DestinationGroups& groups = workspace.groups;
  groups.begin();
  MacKey looked_up = kNoAddress;
  PortIndex port = MacTable::kUnknown;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (dropped[i]) [[unlikely]]
      continue;
    if (destinations[i] != looked_up) {
      looked_up = destinations[i];
      port = table_.find(looked_up, now);
    }
    const auto frame = static_cast<std::uint8_t>(i);
    if (port == MacTable::kUnknown) {
      groups.add_flooded(frame);
    } else if (port == origin.index) {
      in.drop(DropReason::same_port);
    } else {
      groups.add(port, frame);
    }
  }
  in.forwarded.add(groups.grouped());
}

void Bridge::learn(MacKey mac, PortIndex source, std::uint32_t now) noexcept {
  switch (table_.learn(mac, source, now)) {
    case MacTable::Learned::known:
      break;
    case MacTable::Learned::added:
      learning_.added.add();
      break;
    case MacTable::Learned::moved:
      learning_.moved.add();
      break;
    case MacTable::Learned::full:
      learning_.full.add();
      break;
  }
}

void Bridge::send_to_groups(const Origin& origin, Frames frames, Workspace& workspace) {
  DestinationGroups& groups = workspace.groups;
  const auto destinations = groups.destinations();
  // The whole burst to one port, as between two hosts: it is a group as it stands.
  if (destinations.size() == 1 && groups.grouped() == frames.size()) {
    groups.clear(destinations[0]);
    deliver(origin, slots()[destinations[0]], frames, workspace, {});
    return;
  }
  std::array<const FrameView*, kBurstFrames> group;
  for (const PortIndex destination : destinations) {
    const std::size_t count = groups.take(destination, frames, group);
    deliver(origin, slots()[destination], Frames(group).first(count), workspace, {});
  }
}

// Each port gets its unicast frames and the flooded ones, merged into the order in which they came.
void Bridge::send_to_all(const Origin& origin, Frames frames, Workspace& workspace) {
  DestinationGroups& groups = workspace.groups;
  std::array<const FrameView*, kBurstFrames> group;
  bool reached_any = false;
  for (std::size_t port = 0; port < slots().size(); ++port) {
    const Slot& slot = slots()[port];
    if (slot.port == nullptr || port == origin.index) continue;
    const auto destination = static_cast<PortIndex>(port);
    const bool floods = slot.link_up;
    reached_any |= floods;
    const std::size_t count = floods ? groups.take_with_flooded(destination, frames, group)
                                     : groups.take(destination, frames, group);
    if (count != 0) deliver(origin, slot, Frames(group).first(count), workspace, {});
  }
  if (reached_any) {
    origin.counters.forwarded.add(groups.flooded());
  } else {
    origin.counters.drop(DropReason::no_destination, groups.flooded());
  }
}

}  // namespace patchbay::vswitch
