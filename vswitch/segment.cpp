#include "vswitch/segment.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <stdexcept>

#include <fmt/format.h>

#include "vswitch/offload/segmentation_plan.h"

namespace patchbay::vswitch {

namespace {

constexpr std::size_t kEthernetHeader = 14;

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
  slot->port = &port;
  slot->copies_at_attach = port.counters.in.copies.value();
  slot->offered_at_attach = port.counters.out.offered.value();
  ++attached_;
  const auto index = static_cast<PortIndex>(slot - slots_.begin());
  on_attach(index);
  return index;
}

void Segment::detach(PortIndex index) {
  set_tap(index, nullptr);
  Slot& slot = slots_[index];
  departed_copies_ += slot.port->counters.in.copies.value() - slot.copies_at_attach;
  departed_offered_ += slot.port->counters.out.offered.value() - slot.offered_at_attach;
  on_link_lost(index);
  slot = Slot{};
  --attached_;
}

Port& Segment::replace(PortIndex index, Port& port) {
  Slot& slot = slots_[index];
  departed_copies_ += slot.port->counters.in.copies.value() - slot.copies_at_attach;
  departed_offered_ += slot.port->counters.out.offered.value() - slot.offered_at_attach;
  on_link_lost(index);
  slot.copies_at_attach = port.counters.in.copies.value();
  slot.offered_at_attach = port.counters.out.offered.value();
  slot.partial = {};
  return *std::exchange(slot.port, &port);
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

Segment::Outcome Segment::forward(PortIndex source, Workspace& workspace) {
  Port& port = *slots_[source].port;
  workspace.pulled.clear();
  port.pull(workspace.pulled);
  if (workspace.pulled.empty()) return Outcome::idle;
  workspace.moved = false;
  const std::size_t consumed = take(source, workspace);
  port.release(consumed);
  return consumed != 0 || workspace.moved ? Outcome::progressed : Outcome::stalled;
}

std::size_t Segment::take(PortIndex index, Workspace& workspace) {
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
  if (!slots_[index].link_up) [[unlikely]] {
    Port& port = *slots_[index].port;
    account(port, frames);
    port.counters.in.drop(DropReason::link_down, count);
    return count;
  }
  if (tapped()) [[unlikely]]
    number(workspace.pulled.frames());
  if (offloads != 0)
    ordinary &=
        std::all_of(frames.begin(), frames.end(), [](const auto* f) { return offload::is_valid(*f); });
  if (!ordinary) [[unlikely]]
    return take_one_by_one(index, frames, workspace);
  return distribute(index, frames, workspace);
}

std::size_t Segment::take_one_by_one(PortIndex index, Frames frames, Workspace& workspace) {
  Slot& source = slots_[index];
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const Frames one = frames.subspan(i, 1);
    const bool too_short = one[0]->length < kEthernetHeader;
    if (too_short || !offload::is_valid(*one[0])) {
      account(*source.port, one);
      source.port->counters.in.drop(too_short ? DropReason::too_short : DropReason::bad_offload);
      workspace.pulled.own(*one[0]).offload = {};
      show_complete(source, Direction::from_port, one);
    } else if (distribute(index, one, workspace) == 0) {
      return i;
    }
  }
  return frames.size();
}

void Segment::account(Port& source, Frames frames) noexcept {
  std::uint64_t bytes = 0;
  for (const FrameView* frame : frames)
    bytes += frame->length;
  source.counters.in.frames.add(frames.size());
  source.counters.in.bytes.add(bytes);
}

SegmentSnapshot Segment::snapshot() const {
  SegmentSnapshot result{name_, std::string(kind()), {}, departed_copies_, departed_offered_};
  for (const Slot& slot : slots_) {
    if (slot.port == nullptr) continue;
    const PortCounters& counters = slot.port->counters;
    result.copies += counters.in.copies.value() - slot.copies_at_attach;
    result.offered += counters.out.offered.value() - slot.offered_at_attach;
    result.ports.push_back(
        {slot.port->name(),
         slot.link_up,
         slot.tap != nullptr,
         {counters.in.frames.value(), counters.in.bytes.value(), counters.in.forwarded.value(),
          counters.in.copies.value(), values(counters.in.dropped)},
         {counters.out.offered.value(), counters.out.delivered.value(), counters.out.bytes.value(),
          counters.out.in_flight.value(), values(counters.out.dropped)}});
  }
  return result;
}

}  // namespace patchbay::vswitch
