// Delivery of a burst to one destination: the part of Segment that meets offloads, room and taps.
#include <cstring>

#include "vswitch/offload/completion.h"
#include "vswitch/segment.h"

namespace patchbay::vswitch {

namespace {

/// Tells frames apart that a port may show first, one after the other.
std::uint64_t fingerprint(const FrameView& frame) noexcept {
  std::uint64_t hash = frame.length ^ std::uint64_t{frame.offload.gso_size} << 32;
  const auto bytes = frame.header_bytes();
  for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t word;
    std::memcpy(&word, &bytes[at], sizeof word);
    hash = (hash ^ word) * 0x9E37'79B9'7F4A'7C15U;
    hash ^= hash >> 29;
  }
  return hash;
}

}  // namespace

std::size_t Segment::deliver(const Origin& origin, const Slot& destination, Frames frames,
                             Workspace& workspace, DeliveryOptions options) {
  PortCounters::Out& out = destination.port->counters.out;
  std::size_t consumed = frames.size();
  if (!destination.link_up) {
    out.drop(DropReason::link_down, consumed);
    origin.partial = {};
    if (options.taps_at_source) show(origin.slot, Direction::from_port, frames, workspace);
  } else if (workspace.offloads) {
    return deliver_completed(origin, destination, frames, workspace, options);
  } else {
    const std::size_t taken = destination.port->push(frames);
    if (taken < consumed) {
      if (options.wait) {
        consumed = taken;
      } else {
        out.drop(DropReason::no_room, consumed - taken);
      }
    }
    workspace.moved |= taken != 0;
    if (tapped()) [[unlikely]] {
      if (options.taps_at_source) show_complete(origin.slot, Direction::from_port, frames.first(consumed));
      show_complete(destination, Direction::to_port, frames.first(taken));
    }
  }
  out.offered.add(consumed);
  origin.counters.copies.add(consumed);
  return consumed;
}

std::size_t Segment::deliver_completed(const Origin& origin, const Slot& destination, Frames frames,
                                       Workspace& workspace, DeliveryOptions options) {
  PortCounters::Out& out = destination.port->counters.out;
  Partial& partial = origin.partial;
  std::uint32_t segments_done = 0;
  if (options.wait && partial.segments != 0) {
    if (fingerprint(*frames.front()) == partial.fingerprint) segments_done = partial.segments;
    partial = {};
  }
  // Taps see what a wire would carry, and the destination gets what they saw.
  const OffloadSet accepted = tapped() ? OffloadSet{} : destination.port->accepts();
  offload::Completion completion(frames, accepted, workspace.pulled, workspace.segments, segments_done);
  std::uint64_t offered = 0;
  std::size_t consumed = frames.size();
  bool full = false;
  for (Frames batch = completion.next(); !batch.empty(); batch = completion.next()) {
    const std::size_t taken = full ? 0 : destination.port->push(batch);
    workspace.moved |= taken != 0;
    std::size_t handled = batch.size();
    if (taken < batch.size()) {
      full = true;
      if (options.wait) handled = taken;
      out.drop(DropReason::no_room, handled - taken);
    }
    offered += handled;
    if (tapped()) [[unlikely]] {
      if (options.taps_at_source) show_complete(origin.slot, Direction::from_port, batch.first(handled));
      show_complete(destination, Direction::to_port, batch.first(taken));
    }
    if (!full) continue;
    if (options.wait) {
      const auto [frame, segment] = completion.origin(taken);
      consumed = frame;
      if (segment != 0) partial = {segment, fingerprint(*frames[frame])};
      break;
    }
    if (!(tapped() && options.taps_at_source)) {
      // Nobody looks at the rest: it need not be made.
      const std::uint64_t rest = completion.frames_to_come();
      out.drop(DropReason::no_room, rest);
      offered += rest;
      break;
    }
  }
  out.offered.add(offered);
  origin.counters.copies.add(offered);
  return consumed;
}

void Segment::show(const Slot& slot, Direction direction, Frames frames, Workspace& workspace) noexcept {
  if (slot.tap == nullptr || frames.empty()) return;
  if (!workspace.offloads) return show_complete(slot, direction, frames);
  offload::Completion completion(frames, OffloadSet{}, workspace.pulled, workspace.segments);
  for (Frames batch = completion.next(); !batch.empty(); batch = completion.next())
    show_complete(slot, direction, batch);
}

}  // namespace patchbay::vswitch
