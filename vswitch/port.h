// The one interface through which packets enter and leave the switch. Device models, TAPs, generators and
// sinks implement it; nothing else of the switch is visible to them.
//
// Threads: pull, release, push, arm and disarm are called by the one worker that owns the port, never
// concurrently. A port whose other side lives on other threads (a guest's registers) does its own locking
// inside, per burst. Nothing here throws or allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "vswitch/counters.h"
#include "vswitch/frame.h"
#include "vswitch/offload_set.h"

namespace patchbay::vswitch {

class Port {
 public:
  /// `name` is the link end in listings and captures: "r1:eth0".
  explicit Port(std::string name) : name_(std::move(name)) {}
  virtual ~Port() = default;
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  /// Appends frames that wait at the port to `burst`, which is empty, until none is left or burst.has_room()
  /// is false. Frames that cannot be represented are consumed here and counted (in.frames, in.drop). Does NOT
  /// count the frames it returns: the segment does when it consumes them. The views stay valid until
  /// release().
  virtual void pull(Burst& burst) = 0;

  /// Completes the pull: the first `consumed` frames are done with (their buffers go back to the source, with
  /// at most one notification), the others will be pulled again. Called exactly once after every pull that
  /// returned frames; consumed <= burst.size().
  virtual void release(std::size_t consumed) = 0;

  /// Copies frames into the destination, in order, with at most one notification. Returns how many from the
  /// front were dealt with: delivered (counted in out.delivered, out.bytes) or found undeliverable and
  /// dropped (counted with their reason). The rest found no room; the caller decides whether they wait or are
  /// dropped. The caller counts out.offered.
  [[nodiscard]] virtual std::size_t push(std::span<const FrameView* const> frames) = 0;

  /// Offloads that push() takes as they are; the switch completes every other frame first. Asked before each
  /// burst that carries offloads, by the owning worker; may change when a guest negotiates features. Nothing is
  /// asked of a port that takes none: it sees complete frames only.
  [[nodiscard]] virtual OffloadSet accepts() const noexcept { return {}; }

  /// A descriptor that becomes readable when frames arrive after arm(), or negative if the port cannot tell
  /// and must be polled. Constant for the life of the port; owned by the port.
  [[nodiscard]] virtual int wake_fd() const noexcept = 0;
  /// Asks for a wake-up through wake_fd(). Returns true if frames wait already: the caller polls on.
  [[nodiscard]] virtual bool arm() = 0;
  /// Polling resumes: suppresses wake-ups and drains wake_fd().
  virtual void disarm() = 0;

  /// Carrier as the attached side sees it (a guest's link status, a TAP's carrier). Any thread but the data
  /// path.
  virtual void set_link(bool up) = 0;

  PortCounters counters;

 private:
  std::string name_;
};

}  // namespace patchbay::vswitch
