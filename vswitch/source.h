// Where frames enter the switch: one transmit queue of a port. Most ports have one source, themselves; a card
// with several queue pairs has one for each, so that several workers can empty it side by side (port.h).
//
// Threads: a source belongs to one worker, which alone calls it. Sources of one port may belong to different
// workers. Nothing here throws or allocates.
#pragma once

#include <cstddef>

#include "vswitch/counters.h"
#include "vswitch/frame.h"

namespace patchbay::vswitch {

/// Workers of a switch at most, and so calls of Port::push() at the same time.
inline constexpr std::size_t kMaxWorkers = 16;

class Source {
 public:
  /// `received` counts what the switch takes from this source; it lives as long as the source.
  explicit Source(PortCounters::In& received) noexcept : received_(received) {}
  virtual ~Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  [[nodiscard]] PortCounters::In& received() noexcept { return received_; }
  [[nodiscard]] const PortCounters::In& received() const noexcept { return received_; }

  /// Appends frames that wait to `burst`, which is empty, until none is left or burst.has_room() is false.
  /// Frames that cannot be represented are consumed here and counted (received().frames, .drop). Does NOT
  /// count the frames it returns: the segment does when it consumes them. The views stay valid until
  /// release().
  virtual void pull(Burst& burst) = 0;

  /// Completes the pull: the first `consumed` frames are done with (their buffers go back to the sender, with
  /// at most one notification), the others will be pulled again. Called exactly once after every pull that
  /// returned frames; consumed <= burst.size().
  virtual void release(std::size_t consumed) = 0;

  /// A descriptor that becomes readable when frames arrive after arm(), or negative if the source cannot tell
  /// and must be polled. Constant for the life of the source; owned by it.
  [[nodiscard]] virtual int wake_fd() const noexcept = 0;
  /// Asks for a wake-up through wake_fd(). Returns true if frames wait already: the caller polls on.
  [[nodiscard]] virtual bool arm() = 0;
  /// Polling resumes: suppresses wake-ups and drains wake_fd().
  virtual void disarm() = 0;

 private:
  PortCounters::In& received_;
};

}  // namespace patchbay::vswitch
