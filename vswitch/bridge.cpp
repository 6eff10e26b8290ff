#include "vswitch/bridge.h"

#include <bit>
#include <cstring>
#include <span>
#include <type_traits>

namespace patchbay::vswitch {

namespace {

static_assert(std::endian::native == std::endian::little, "addresses are compared as little-endian numbers");

// 01-80-C2-00-00-00 to -0F, table 8-1: never relayed by a bridge (8.6.3).
constexpr MacKey kReserved = 0x00'00'00'c2'80'01;
constexpr MacKey kReservedMask = 0xf0'ff'ff'ff'ff'ff;
constexpr MacKey kNoAddress = ~MacKey{0};  // longer than any

/// Destination and source as they stand in a frame, for comparison only.
struct AddressPair {
  std::uint64_t first;
  std::uint32_t rest;
  friend bool operator==(const AddressPair&, const AddressPair&) = default;
};

AddressPair load_pair(const std::byte* header) noexcept {
  AddressPair pair;
  std::memcpy(&pair.first, header, sizeof pair.first);
  std::memcpy(&pair.rest, header + sizeof pair.first, sizeof pair.rest);
  return pair;
}

/// Neighbours in a burst with the same two addresses: trains are the rule, and take the same way.
struct Run {
  MacKey destination;
  std::uint8_t first;
  std::uint8_t frames;
  bool refused;
  DropReason reason;  // if refused
};
static_assert(std::is_trivially_default_constructible_v<Run>,
              "a burst's worth of them costs nothing to begin");

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
  std::array<Run, kBurstFrames> storage;
  std::size_t count = 0;
  MacKey last_source = kNoAddress;
  for (std::size_t i = 0, next = 0; i < frames.size(); i = next) {
    const std::byte* const header = frames[i]->header.data();
    const AddressPair pair = load_pair(header);
    for (next = i + 1; next < frames.size() && load_pair(frames[next]->header.data()) == pair;)
      ++next;
    Run& run = storage[count++];
    run = {load_mac(header), static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(next - i), false, {}};
    const MacKey from = load_mac(header + 6);
    if (is_group(from) || from == 0) {
      run.refused = true;
      run.reason = DropReason::bad_source_mac;
      continue;
    }
    if (from != last_source) learn(from, origin.index, now);
    last_source = from;
    if ((run.destination & kReservedMask) == kReserved) {
      run.refused = true;
      run.reason = DropReason::reserved_multicast;
    } else {
      table_.prefetch(run.destination);
    }
  }

  // Group addresses are never learned, so they come out as unknown, and are flooded like those.
  DestinationGroups& groups = workspace.groups;
  groups.begin();
  MacKey looked_up = kNoAddress;
  PortIndex port = MacTable::kUnknown;
  for (const Run& run : std::span(storage).first(count)) {
    if (run.refused) [[unlikely]] {
      in.drop(run.reason, run.frames);
      continue;
    }
    if (run.destination != looked_up) {
      looked_up = run.destination;
      port = table_.find(looked_up, now);
    }
    if (port == MacTable::kUnknown) {
      groups.add_flooded(run.first, run.frames);
    } else if (port == origin.index) {
      in.drop(DropReason::same_port, run.frames);
    } else {
      groups.add(port, run.first, run.frames);
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
