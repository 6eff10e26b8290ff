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

void Bridge::on_attach(PortIndex index) {
  if (groups_.size() <= index) groups_.resize(index + std::size_t{1}, Group{kNone, kNone});
}

std::size_t Bridge::distribute(PortIndex source_index, Frames frames, Workspace& workspace) {
  Slot& source = slots()[source_index];
  account(*source.port, frames);
  if (tapped()) [[unlikely]]
    show(source, Direction::from_port, frames, workspace);

  classify(source_index, frames, workspace.now);
  if (flooded_count_ == 0) {
    send_to_groups(source_index, frames, workspace);
  } else {
    send_to_all(source_index, frames, workspace);
  }
  return frames.size();
}

void Bridge::classify(PortIndex source, Frames frames, std::uint32_t now) {
  PortCounters::In& in = slots()[source].port->counters.in;
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
    if (from != last_source) learn(from, source, now);
    last_source = from;
    if ((destinations[i] & kReservedMask) == kReserved) {
      in.drop(DropReason::reserved_multicast);
      continue;
    }
    dropped[i] = false;
  }

  // Group addresses are never learned, so they come out as unknown, and are flooded like those. Trains to one
  // address are looked up once.
  destination_count_ = flooded_count_ = 0;
  forwarded_ = 0;
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
      flooded_[flooded_count_++] = frame;
    } else if (port == source) {
      in.drop(DropReason::same_port);
    } else {
      append(port, frame);
      ++forwarded_;
    }
  }
  in.forwarded.add(forwarded_);
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

void Bridge::append(PortIndex destination, std::uint8_t frame) noexcept {
  Group& group = groups_[destination];
  next_[frame] = kNone;
  if (group.first == kNone) {
    group.first = frame;
    destinations_[destination_count_++] = destination;
  } else {
    next_[group.last] = frame;
  }
  group.last = frame;
}

void Bridge::send_to_groups(PortIndex source, Frames frames, Workspace& workspace) {
  std::array<const FrameView*, kBurstFrames> group;
  // The whole burst to one port, as between two hosts: it is a group as it stands.
  if (destination_count_ == 1 && forwarded_ == frames.size()) {
    groups_[destinations_[0]].first = kNone;
    send(source, destinations_[0], frames, workspace);
    return;
  }
  for (const PortIndex destination : std::span(destinations_).first(destination_count_)) {
    std::size_t count = 0;
    for (std::uint8_t i = groups_[destination].first; i != kNone; i = next_[i])
      group[count++] = frames[i];
    groups_[destination].first = kNone;
    send(source, destination, Frames(group).first(count), workspace);
  }
}

// Each port gets its unicast frames and the flooded ones, merged into the order in which they came.
void Bridge::send_to_all(PortIndex source, Frames frames, Workspace& workspace) {
  PortCounters::In& in = slots()[source].port->counters.in;
  const auto flooded = std::span(flooded_).first(flooded_count_);
  std::array<const FrameView*, kBurstFrames> group;
  bool reached_any = false;
  for (std::size_t port = 0; port < slots().size(); ++port) {
    const Slot& slot = slots()[port];
    if (slot.port == nullptr || !slot.link_up || port == source) continue;
    reached_any = true;
    std::size_t count = 0;
    std::uint8_t own = groups_[port].first;
    groups_[port].first = kNone;
    for (const std::uint8_t i : flooded) {
      for (; own < i; own = next_[own])
        group[count++] = frames[own];
      group[count++] = frames[i];
    }
    for (; own != kNone; own = next_[own])
      group[count++] = frames[own];
    send(source, static_cast<PortIndex>(port), Frames(group).first(count), workspace);
  }
  if (reached_any) {
    in.forwarded.add(flooded_count_);
  } else {
    in.drop(DropReason::no_destination, flooded_count_);
  }
}

void Bridge::send(PortIndex source, PortIndex destination, Frames frames, Workspace& workspace) {
  deliver(slots()[source], slots()[destination], frames, workspace, {});
}

}  // namespace patchbay::vswitch
