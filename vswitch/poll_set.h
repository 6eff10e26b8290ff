// Decides which sources of ports a worker polls. A source that has been idle for a while turns its wake-ups
// on and leaves the polling list until its descriptor becomes readable, so idle ports cost nothing, however
// many there are and however busy the others.
//
//   active --- idle for a while, arm() ---> asleep (in epoll) --- wake_fd readable, disarm() ---> active
//   active --- destination stays full ----> waiting (timer, backing off) --- timer ---> active
//
// A source with wake_fd() < 0 cannot sleep and stays active. One thread at a time; the time is the caller's,
// so tests need no clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "vswitch/file_descriptor.h"
#include "vswitch/segment.h"

namespace patchbay::vswitch {

class PollSet {
 public:
  using Clock = std::chrono::steady_clock;
  using Duration = std::chrono::nanoseconds;

  struct Tuning {
    Duration sleep_after{50'000};          // without a frame; host_tuning.h
    Duration first_retry{20'000};          // of a source whose destination is full; doubles each time
    Duration last_retry{10'000'000};       // until this
    Duration broken_retry{1'000'000'000};  // of a port whose descriptor reports an error
  };

  /// `interrupt_fd` ends a blocking wait() when it becomes readable; negative for none. Throws
  /// std::system_error.
  PollSet(Tuning tuning, int interrupt_fd);

  /// Polls that source of the port from now on. Throws std::system_error if its wake_fd cannot be watched.
  void add(Segment& segment, PortIndex index, std::size_t source, Clock::time_point now);
  /// Forgets the sources of the port, with their wake-ups off. Must come before Segment::detach().
  void remove(const Segment& segment, PortIndex index);

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

  /// Forwards one burst of each active source. Returns true if a frame moved.
  bool pass(Workspace& workspace, Clock::time_point now);

  /// Makes sources active that have a wake-up or whose timer is due; with `block`, sleeps until there is one.
  void wait(bool block, Clock::time_point now);

  [[nodiscard]] bool any_active() const noexcept { return !active_.empty(); }
  /// True if a source is not active.
  [[nodiscard]] bool any_resting() const noexcept { return active_.size() < entries_.size(); }

 private:
  struct Entry {
    Segment* segment;
    PortIndex index;
    std::size_t number;  // of the source at its port
    Source* source;
    Clock::time_point last_moved;
    Clock::time_point retry_at{};
    Duration retry_delay{0};
    bool watched = false;  // known to epoll
    bool asleep = false;
  };

  /// True if the entry leaves the polling list.
  bool stop_polling_if_idle(Entry& entry, Clock::time_point now);
  bool stop_polling_if_stuck(Entry& entry, Clock::time_point now);
  bool watch(Entry& entry, int operation, std::uint32_t events) noexcept;
  void activate(Entry& entry, Clock::time_point now);
  void resume_due(Clock::time_point now);

  Tuning tuning_;
  FileDescriptor epoll_;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::vector<Entry*> active_;
  std::vector<Entry*> waiting_;
};

}  // namespace patchbay::vswitch
