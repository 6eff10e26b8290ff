// A learning bridge: a VLAN-unaware MAC bridge without spanning tree (IEEE 802.1Q-2018, clause 8, with all
// ports in the forwarding state and one filtering database).
//
// A burst is forwarded in two passes. Pass 1 looks at every frame once: checks and learns its source (8.7),
// looks its destination up in bulk and puts it into the group of its destination port (8.6). Pass 2 hands
// each destination its whole group in one push, so that a ring is locked, indexed and signalled once per
// burst. Within a group the order of the source is kept, flooded and unicast frames alike (8.6.6).
#pragma once

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
    SharedCounter added, moved;
    SharedCounter full;  // times an address was not learned because the table had no place
  };
  [[nodiscard]] const Learning& learning() const noexcept { return learning_; }
  /// Live entries; `now` as in Workspace.
  [[nodiscard]] std::vector<MacTable::Entry> mac_entries(std::uint32_t now) const {
    return table_.entries(now);
  }

 private:
  std::size_t distribute(const Origin& origin, Frames frames, Workspace& workspace) override;
  void on_link_lost(PortIndex index) override { table_.forget(index); }

  /// Pass 1: fills workspace.groups.
  void classify(const Origin& origin, Frames frames, Workspace& workspace);
  void learn(MacKey mac, PortIndex source, std::uint32_t now) noexcept;
  /// Pass 2, and the same where frames are flooded.
  void send_to_groups(const Origin& origin, Frames frames, Workspace& workspace);
  void send_to_all(const Origin& origin, Frames frames, Workspace& workspace);

  MacTable table_;
  Learning learning_;
};

}  // namespace patchbay::vswitch
