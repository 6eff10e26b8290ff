// A segment carries frames between the ports attached to it: a wire between two, a bridge between any number.
// This base class has what they share: the ports with their link state and taps, one pull-distribute-release
// cycle with its accounting, and the delivery to one destination (segment_delivery.cpp).
//
// Threads: forward() runs on the worker of the source that it is called for, so on several at once where the
// sources of a segment are spread over workers. Everything that changes a segment, and snapshot(), is called
// while none of its workers forwards (Switch::change does that). What workers share, each push to a port and
// the addresses that a bridge learns, takes care of itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vswitch/destination_groups.h"
#include "vswitch/frame.h"
#include "vswitch/port.h"
#include "vswitch/snapshot.h"
#include "vswitch/tap_point.h"

namespace patchbay::vswitch {

/// What a worker lends to the segments that it runs, one at a time. About 80 KiB: not for small stacks.
struct Workspace {
  Burst pulled;
  bool offloads = false;  // a frame of `pulled` leaves work to the switch
  bool moved = false;     // a port took a frame of the current cycle
  Burst segments;         // cut from frames of `pulled` for the delivery that is under way
  DestinationGroups groups;
  std::uint32_t now = 0;  // seconds of a monotonic clock
};

class Segment {
 public:
  static constexpr std::size_t kMaxPorts = DestinationGroups::kMaxPorts;

  explicit Segment(std::string name) : name_(std::move(name)) {}
  virtual ~Segment() = default;
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// "wire" or "bridge".
  [[nodiscard]] virtual std::string_view kind() const noexcept = 0;

  /// True if one worker should have all its ports.
  [[nodiscard]] virtual bool stays_together() const noexcept { return false; }

  /// Attaches `port`, link up; the port must outlive its attachment. Throws std::runtime_error if the segment
  /// has no place for another port.
  PortIndex attach(Port& port);
  void detach(PortIndex index);
  /// Puts `port` in the place of the one attached at `index`, which is returned. Link state and tap stay.
  Port& replace(PortIndex index, Port& port);
  [[nodiscard]] Port& port(PortIndex index) const noexcept { return *slots_[index].port; }
  [[nodiscard]] std::vector<PortIndex> attached() const;

  /// Takes the link of one port down (its frames are dropped, nothing is delivered to it) or up again.
  /// Port::set_link is the caller's to call, for each port whose carrier() changed.
  void set_link(PortIndex index, bool up);
  [[nodiscard]] bool link_up(PortIndex index) const noexcept { return slots_[index].link_up; }
  /// What the attached side should see.
  [[nodiscard]] virtual bool carrier(PortIndex index) const noexcept { return link_up(index); }

  /// Offers the port's frames to `tap` until it is replaced, by nullptr for none. The tap must outlive that.
  void set_tap(PortIndex index, TapPoint* tap);

  enum class Outcome : unsigned char {
    idle,        // nothing waited
    progressed,  // at least one frame was consumed
    stalled,     // frames wait, but the destination has no room (lossless wires)
  };
  /// Pulls one burst from a source of a port and forwards it. noexcept in effect: ports neither throw nor
  /// allocate.
  Outcome forward(PortIndex port, Workspace& workspace, std::size_t source = 0);

  [[nodiscard]] SegmentSnapshot snapshot() const;

 protected:
  using Frames = std::span<const FrameView* const>;

  // The first frame that waits at a source may have been delivered in part: so many of its segments.
  struct Partial {
    std::uint32_t segments = 0;
    std::uint64_t fingerprint = 0;  // of the frame, in case its sender takes it back
  };

  struct Slot {
    Port* port = nullptr;  // nullptr: free
    TapPoint* tap = nullptr;
    bool link_up = true;
    std::vector<Partial> partials;  // by source
    std::uint64_t copies_at_attach = 0;
    std::uint64_t offered_at_attach = 0;
  };

  // Where the burst in hand came from.
  struct Origin {
    PortIndex index;
    const Slot& slot;
    PortCounters::In& counters;  // of the source
    Partial& partial;
  };

  struct DeliveryOptions {
    bool wait = false;            // frames that find no room stay unconsumed; else they are dropped
    bool taps_at_source = false;  // the source's tap sees each frame as it is consumed (one destination only)
  };

  /// Forwards frames from `origin`, at least one, each with a whole Ethernet header and valid offload
  /// metadata. Returns how many from the front it consumed; for exactly these it calls account(), counts
  /// in.forwarded or a drop, and shows them to the port's tap if tapped().
  virtual std::size_t distribute(const Origin& origin, Frames frames, Workspace& workspace) = 0;
  /// `index` was detached or its link went down.
  virtual void on_link_lost(PortIndex) {}
  /// The most ports that attach() accepts.
  [[nodiscard]] virtual std::size_t port_limit() const noexcept { return kMaxPorts; }

  /// Counts frames as taken from the source.
  static void account(const Origin& origin, Frames frames) noexcept;
  /// Offers frames of workspace.pulled to one destination and shows its tap what it took: out.offered,
  /// in.copies, and every drop of that destination. Work that the destination does not take over is done
  /// first. Returns how many frames from the front need no further attention.
  std::size_t deliver(const Origin& origin, const Slot& destination, Frames frames, Workspace& workspace,
                      DeliveryOptions options);

  [[nodiscard]] bool tapped() const noexcept { return taps_ != 0; }
  /// Shows frames of workspace.pulled as a wire carries them.
  static void show(const Slot& slot, Direction direction, Frames frames, Workspace& workspace) noexcept;

  [[nodiscard]] std::span<Slot> slots() noexcept { return slots_; }
  [[nodiscard]] std::span<const Slot> slots() const noexcept { return slots_; }

 private:
  static void show_complete(const Slot& slot, Direction direction, Frames frames) noexcept {
    if (slot.tap != nullptr && !frames.empty()) slot.tap->frames(direction, frames);
  }
  std::size_t deliver_completed(const Origin& origin, const Slot& destination, Frames frames,
                                Workspace& workspace, DeliveryOptions options);
  std::size_t take(const Origin& origin, Workspace& workspace);
  std::size_t take_one_by_one(const Origin& origin, Frames frames, Workspace& workspace);
  void join(Slot& slot, Port& port);
  void leave(PortIndex index);

  std::string name_;
  std::vector<Slot> slots_;
  std::size_t attached_ = 0;
  std::size_t taps_ = 0;
  std::uint64_t departed_copies_ = 0;
  std::uint64_t departed_offered_ = 0;
};

}  // namespace patchbay::vswitch
