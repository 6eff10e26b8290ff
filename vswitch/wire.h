// A wire: two ports, every frame of one arrives unchanged at the other. It is a cable, not an IEEE 802.1
// relay, so the reserved addresses 01-80-C2-00-00-00 to -0F (STP, LACP, LLDP, PAUSE ...) pass as well.
//
// A lossless wire behaves like a link with flow control: frames that find no room stay with their source,
// which is retried. Otherwise they are dropped as no_room.
#pragma once

#include "vswitch/segment.h"

namespace patchbay::vswitch {

class Wire final : public Segment {
 public:
  struct Options {
    bool lossless = false;
  };
  Wire(std::string name, Options options) : Segment(std::move(name)), lossless_(options.lossless) {}

  [[nodiscard]] std::string_view kind() const noexcept override { return "wire"; }
  /// What goes one way is soon answered the other way, by a worker that is awake.
  [[nodiscard]] bool stays_together() const noexcept override { return true; }
  /// Cutting a cable takes the carrier from both ends.
  [[nodiscard]] bool carrier(PortIndex index) const noexcept override;

 private:
  static constexpr PortIndex kEnds = 2;

  std::size_t distribute(const Origin& origin, Frames frames, Workspace& workspace) override;
  [[nodiscard]] std::size_t port_limit() const noexcept override { return kEnds; }

  bool lossless_;
};

}  // namespace patchbay::vswitch
