// A learning bridge: a VLAN-unaware MAC bridge without spanning tree (IEEE 802.1Q-2018, clause 8, with all
// ports in the forwarding state and one filtering database).
//
// A burst is forwarded in two passes. Pass 1 looks at every frame once: checks and learns its source (8.7),
// looks its destination up in bulk and puts it into the group of its destination port (8.6). Pass 2 hands
// each destination its whole group in one push, so that a ring is locked, indexed and signalled once per
// burst. Within a group the order of the source is kept, flooded and unicast frames alike (8.6.6).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "vswitch/mac_table.h"
#include "vswitch/segment.h"

namespace patchbay::vswitch {

class Bridge final : public Segment {
 public:
  struct Options {
    std::size_t mac_capacity = MacTable::kDefaultCapacity;
    std::uint32_t ageing_seconds = MacTable::kDefaultAgeing;
  };
  Bridge(std::string name, Options options)
      : Segment(std::move(name)), table_(options.mac_capacity, options.ageing_seconds) {}

  [[nodiscard]] std::string_view kind() const noexcept override { return "bridge"; }

  struct Learning {
    Counter added, moved;
    Counter full;  // times an address was not learned because the table had no place
  };
  [[nodiscard]] const Learning& learning() const noexcept { return learning_; }
  /// Live entries; `now` as in Workspace.
  [[nodiscard]] std::vector<MacTable::Entry> mac_entries(std::uint32_t now) const {
    return table_.entries(now);
  }

 private:
  // Frames of the current burst that go to one port, as a list through next_.
  struct Group {
    std::uint8_t first;
    std::uint8_t last;
  };
  static constexpr std::uint8_t kNone = 0xff;
  static_assert(kBurstFrames < kNone);

  std::size_t distribute(PortIndex source, Frames frames, Workspace& workspace) override;
  void on_attach(PortIndex index) override;
  void on_link_lost(PortIndex index) override { table_.forget(index); }

  void classify(PortIndex source, Frames frames, std::uint32_t now);
  void learn(MacKey mac, PortIndex source, std::uint32_t now) noexcept;
  void append(PortIndex destination, std::uint8_t frame) noexcept;
  void send_to_groups(PortIndex source, Frames frames, Workspace& workspace);
  void send_to_all(PortIndex source, Frames frames, Workspace& workspace);
  void send(PortIndex source, PortIndex destination, Frames frames, Workspace& workspace);

  MacTable table_;
  Learning learning_;

  // State of one burst.
  std::vector<Group> groups_;  // by PortIndex; empty between bursts
  std::array<PortIndex, kBurstFrames> destinations_;
  std::size_t destination_count_ = 0;
  std::size_t forwarded_ = 0;  // frames in groups
  std::array<std::uint8_t, kBurstFrames> next_;
  std::array<std::uint8_t, kBurstFrames> flooded_;  // ascending
  std::size_t flooded_count_ = 0;
};

}  // namespace patchbay::vswitch
