// The frames of one burst, by destination: what a bridge fills in its first pass and empties in its second.
// Within a group frames keep the order of the burst.
//
// One thread at a time; a worker's scratch memory. Groups are empty between bursts.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "vswitch/frame.h"

namespace patchbay::vswitch {

/// Where a port is attached to its segment; stays the same until it is detached, then may be used again.
using PortIndex = std::uint16_t;

class DestinationGroups {
 public:
  static constexpr std::size_t kMaxPorts = 4096;
  using Pointers = std::span<const FrameView* const>;

  DestinationGroups() { groups_.fill({kNone, kNone}); }

  /// Adds `count` > 0 frames of the burst from number `first` on to the group of a port. Frames come in
  /// ascending order.
  void add(PortIndex destination, std::size_t first, std::size_t count) noexcept {
    Group& group = groups_[destination];
    const auto begin = static_cast<std::uint8_t>(first);
    const auto last = static_cast<std::uint8_t>(first + count - 1);
    if (group.first == kNone) {
      group.first = begin;
      destinations_[count_++] = destination;
    } else {
      next_[group.last] = begin;
    }
    for (std::uint8_t i = begin; i != last; ++i)
      next_[i] = static_cast<std::uint8_t>(i + 1);
    next_[last] = kNone;
    group.last = last;
    grouped_ += count;
  }
  /// Adds `count` frames that go to every port.
  void add_flooded(std::size_t first, std::size_t count) noexcept {
    for (std::size_t i = first; i != first + count; ++i)
      flooded_[flooded_count_++] = static_cast<std::uint8_t>(i);
  }

  /// Ports with a group of their own, in the order of their first frames.
  [[nodiscard]] std::span<const PortIndex> destinations() const noexcept {
    return std::span(destinations_).first(count_);
  }
  /// Frames in groups.
  [[nodiscard]] std::size_t grouped() const noexcept { return grouped_; }
  [[nodiscard]] std::size_t flooded() const noexcept { return flooded_count_; }

  /// Empties the group of a port into `out`, which has room for a burst; returns how many frames those are.
  std::size_t take(PortIndex destination, Pointers burst, std::span<const FrameView*> out) noexcept {
    std::size_t count = 0;
    for (std::uint8_t i = groups_[destination].first; i != kNone; i = next_[i])
      out[count++] = burst[i];
    groups_[destination].first = kNone;
    return count;
  }
  /// The same, merged with the flooded frames into the order in which they came.
  std::size_t take_with_flooded(PortIndex destination, Pointers burst,
                                std::span<const FrameView*> out) noexcept {
    std::size_t count = 0;
    std::uint8_t own = groups_[destination].first;
    groups_[destination].first = kNone;
    for (const std::uint8_t i : std::span(flooded_).first(flooded_count_)) {
      for (; own < i; own = next_[own])
        out[count++] = burst[own];
      out[count++] = burst[i];
    }
    for (; own != kNone; own = next_[own])
      out[count++] = burst[own];
    return count;
  }
  /// Forgets a group whose frames go out another way.
  void clear(PortIndex destination) noexcept { groups_[destination].first = kNone; }
  /// Begins a burst. Precondition: every group was taken or cleared.
  void begin() noexcept { count_ = flooded_count_ = grouped_ = 0; }

 private:
  // A list through next_.
  struct Group {
    std::uint8_t first;
    std::uint8_t last;
  };
  static constexpr std::uint8_t kNone = 0xff;
  static_assert(kBurstFrames < kNone);

  std::array<PortIndex, kBurstFrames> destinations_;
  std::size_t count_ = 0;
  std::size_t grouped_ = 0;
  std::array<std::uint8_t, kBurstFrames> next_;
  std::array<std::uint8_t, kBurstFrames> flooded_;  // ascending
  std::size_t flooded_count_ = 0;
  std::array<Group, kMaxPorts> groups_;
};

}  // namespace patchbay::vswitch
