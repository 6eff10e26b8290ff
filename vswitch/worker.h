// A switch thread: it owns sources of ports and forwards what they have, adapting from polling to sleeping as
// traffic comes and goes. What changes a segment is done between two bursts, on this thread through run(), or
// while all workers of the segment stand still (Switch::change).
//
// While sources are active the worker polls them in turn, one burst each, and yields the core when nothing
// moves, so that vCPUs and workers can share two cores. When no port is active it blocks in epoll and uses no
// CPU.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "vswitch/counters.h"
#include "vswitch/file_descriptor.h"
#include "vswitch/poll_set.h"
#include "vswitch/segment.h"

namespace patchbay::vswitch {

class Worker {
 public:
  struct Options {
    std::string name = "switch";  // of the thread; the kernel shows 15 characters
    int cpu = -1;                 // to run on; negative: wherever there is room
    // Called first and last on the thread, such as to register it with the EAL.
    std::function<void()> on_start;
    std::function<void()> on_stop;
  };

  struct Stats {
    std::uint64_t passes = 0;    // over the active ports
    std::uint64_t sleeps = 0;    // times it blocked
    std::uint64_t wake_ups = 0;  // times it was woken by a port or a timer rather than by run() or post()
    std::chrono::nanoseconds cpu_time{0};
  };

  /// Starts the thread, with the host's tuning (host_tuning.h). Throws std::system_error with cause and way
  /// out if it cannot run as asked.
  explicit Worker(Options options);
  /// stop()
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Runs `task` on the worker's thread between two bursts, waits for it, and rethrows what it throws. May be
  /// called from any thread; from the worker's own it runs at once, after stop() on the caller's.
  void run(const std::function<void()>& task);
  /// As run(), but does not wait; `task` must not throw.
  void post(std::function<void()> task);

  /// Start forwarding for all sources of an attached port, or for one, and end it for all. On the worker's
  /// thread, that is within run(), or while the worker stands still.
  void add(Segment& segment, PortIndex index);
  void add(Segment& segment, PortIndex index, std::size_t source);
  void remove(const Segment& segment, PortIndex index);
  /// Sources it forwards for; as add().
  [[nodiscard]] std::size_t source_count() const noexcept { return ports_.size(); }

  /// Ends the thread after the tasks posted so far. Any thread but its own; no effect the second time.
  void stop();

  [[nodiscard]] Stats stats() const;
  /// Seconds of the clock that MAC tables age by, as of the current pass. On the worker's thread.
  [[nodiscard]] std::uint32_t now() const noexcept { return workspace_->now; }

 private:
  void prepare_thread();
  void loop();
  void poll(PollSet::Clock::time_point now);
  bool enqueue(std::function<void()> task);
  void signal_tasks() noexcept;
  void run_tasks();

  Options options_;
  FileDescriptor interrupt_;  // eventfd: there are tasks
  std::unique_ptr<Workspace> workspace_;
  PollSet ports_;
  PollSet::Clock::time_point last_moved_, last_collected_;

  std::mutex mutex_;  // guards the next two
  std::vector<std::function<void()>> tasks_;
  bool accepting_ = true;
  std::atomic<bool> tasks_waiting_{false};
  bool stopping_ = false;  // the thread's own

  Counter passes_, sleeps_, wake_ups_;
  clockid_t cpu_clock_{};
  std::atomic<std::int64_t> final_cpu_time_{-1};
  std::thread thread_;
};

}  // namespace patchbay::vswitch
