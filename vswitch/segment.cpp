#include "vswitch/segment.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "vswitch/offload/segmentation_plan.h"

namespace patchbay::vswitch {

namespace {

// Ids tell a capture at one port which of its frames is which frame at another port.
std::atomic<std::uint64_t> next_frame_id{1};

// A large frame has as many ids as the wire has frames for it.
void number(std::span<FrameView> frames) noexcept {
  std::uint64_t count = 0;
  for (FrameView& frame : frames) {
    frame.id = count;
    count += offload::wire_frames(frame);
  }
  const std::uint64_t first = next_frame_id.fetch_add(count, std::memory_order_relaxed);
  for (FrameView& frame : frames)
    frame.id += first;
}

/// What all sources of a port have counted.
PortSnapshot::In received(Port& port) noexcept {
  PortSnapshot::In sum;
  for (std::size_t i = 0; i < port.counted().source_count(); ++i) {
    const PortCounters::In& in = port.counted().source(i).received();
    sum.frames += in.frames.value();
    sum.bytes += in.bytes.value();
    sum.forwarded += in.forwarded.value();
    sum.copies += in.copies.value();
    const DropValues dropped = values(in.dropped);
    for (std::size_t reason = 0; reason < kDropReasons; ++reason)
      sum.dropped[reason] += dropped[reason];
  }
  return sum;
}

}  // namespace

PortIndex Segment::attach(Port& port) {
  if (attached_ == port_limit()) {
    throw std::runtime_error(
        fmt::format("{} {}: port {} does not fit, {} ports are attached already; use a bridge "
                    "with room or detach a port first",
                    kind(), name_, port.name(), attached_));
  }
  auto slot = std::find_if(slots_.begin(), slots_.end(), [](const Slot& s) { return s.port == nullptr; });
  if (slot == slots_.end()) slot = slots_.emplace(slot);
  *slot = Slot{};
  join(*slot, port);
  ++attached_;
  return static_cast<PortIndex>(slot - slots_.begin());
}

void Segment::join(Slot& slot, Port& port) {
  slot.partials.assign(port.source_count(), Partial{});
  slot.port = &port;
  slot.copies_at_attach = received(port).copies;
  slot.offered_at_attach = port.counters.out.offered.value();
}

void Segment::leave(PortIndex index) {
  const Slot& slot = slots_[index];
  departed_copies_ += received(*slot.port).copies - slot.copies_at_attach;
  departed_offered_ += slot.port->counters.out.offered.value() - slot.offered_at_attach;
  on_link_lost(index);
}

void Segment::detach(PortIndex index) {
  set_tap(index, nullptr);
  leave(index);
  slots_[index] = Slot{};
  --attached_;
}

Port& Segment::replace(PortIndex index, Port& port) {
  leave(index);
  Port* const replaced = slots_[index].port;
  join(slots_[index], port);
  return *replaced;
}

std::vector<PortIndex> Segment::attached() const {
  std::vector<PortIndex> result;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].port != nullptr) result.push_back(static_cast<PortIndex>(i));
  }
  return result;
}

void Segment::set_link(PortIndex index, bool up) {
  if (std::exchange(slots_[index].link_up, up) && !up) on_link_lost(index);
}

void Segment::set_tap(PortIndex index, TapPoint* tap) {
  TapPoint*& current = slots_[index].tap;
  taps_ -= current != nullptr ? 1 : 0;
  taps_ += tap != nullptr ? 1 : 0;
  current = tap;
}

Segment::Outcome Segment::forward(PortIndex port, Workspace& workspace, std::size_t number) {
  Slot& slot = slots_[port];
  Source& source = slot.port->source(number);
  workspace.pulled.clear();
  source.pull(workspace.pulled);
  if (workspace.pulled.empty()) return Outcome::idle;
  workspace.moved = false;
  const std::size_t consumed = take({port, slot, source.received(), slot.partials[number]}, workspace);
  source.release(consumed);
  return consumed != 0 || workspace.moved ? Outcome::progressed : Outcome::stalled;
}

std::size_t Segment::take(const Origin& origin, Workspace& workspace) {
  std::array<const FrameView*, kBurstFrames> pointers;
  const std::size_t count = workspace.pulled.size();
  bool ordinary = true;
  unsigned offloads = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const FrameView& frame = workspace.pulled[i];
    ordinary &= frame.length >= kEthernetHeader;
    offloads |= (frame.offload.flags & unsigned{Offload::kNeedsChecksum}) | frame.offload.gso_type;
    pointers[i] = &frame;
  }
  workspace.offloads = offloads != 0;
  const Frames frames = Frames(pointers).first(count);
  if (!origin.slot.link_up) [[unlikely]] {
    account(origin, frames);
    origin.counters.drop(DropReason::link_down, count);
    return count;
  }
  if (tapped()) [[unlikely]]
    number(workspace.pulled.frames());
  if (offloads != 0)
    ordinary &=
        std::all_of(frames.begin(), frames.end(), [](const auto* f) { return offload::is_valid(*f); });
  if (!ordinary) [[unlikely]]
    return take_one_by_one(origin, frames, workspace);
  return distribute(origin, frames, workspace);
}

std::size_t Segment::take_one_by_one(const Origin& origin, Frames frames, Workspace& workspace) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const Frames one = frames.subspan(i, 1);
    const bool too_short = one[0]->length < kEthernetHeader;
    if (too_short || !offload::is_valid(*one[0])) {
      account(origin, one);
      origin.counters.drop(too_short ? DropReason::too_short : DropReason::bad_offload);
      workspace.pulled.own(*one[0]).offload = {};
      show_complete(origin.slot, Direction::from_port, one);
    } else if (distribute(origin, one, workspace) == 0) {
      return i;
    }
  }
  return frames.size();
}

void Segment::account(const Origin& origin, Frames frames) noexcept {
  std::uint64_t bytes = 0;
  for (const FrameView* frame : frames)
    bytes += frame->length;
  origin.counters.frames.add(frames.size());
  origin.counters.bytes.add(bytes);
}

SegmentSnapshot Segment::snapshot() const {
  SegmentSnapshot result{name_, std::string(kind()), {}, departed_copies_, departed_offered_};
  for (const Slot& slot : slots_) {
    if (slot.port == nullptr) continue;
    const PortSnapshot::In in = received(*slot.port);
    const PortCounters::Out& out = slot.port->counters.out;
    result.copies += in.copies - slot.copies_at_attach;
    result.offered += out.offered.value() - slot.offered_at_attach;
    result.ports.push_back(
        {slot.port->name(),
         slot.link_up,
         slot.tap != nullptr,
         in,
         {out.offered.value(), out.delivered.value(), out.bytes.value(), values(out.dropped)}});
  }
  return result;
}

}  // namespace patchbay::vswitch
