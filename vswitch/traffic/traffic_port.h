// A traffic generator and sink as a port of the switch. It stands at a link end in place of the host that
// belongs there: frames leave with that host's addresses, ARP requests for them are answered, and tagged
// frames that arrive are accounted for. Other frames (a router's advertisements) are counted and ignored.
//
// A trial sends one stream at a rate, on the worker's own thread: each pull sends what has become due, so
// bursts are as short as the worker's passes.
//
// Threads: what concerns sending (shape, send, stop, send_report) on the worker's thread (Worker::run), or
// before the port is attached; everything else on any thread.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vswitch/brief_mutex.h"
#include "vswitch/file_descriptor.h"
#include "vswitch/port.h"
#include "vswitch/traffic/arp_station.h"
#include "vswitch/traffic/frame_template.h"
#include "vswitch/traffic/latency_histogram.h"
#include "vswitch/traffic/pacer.h"
#include "vswitch/traffic/sequence_tracker.h"

namespace patchbay::vswitch::traffic {

struct StationConfig {
  std::string port_name;  // the link end, such as "h1:eth1"
  MacBytes mac{};
  Ipv4Bytes address{};
};

/// What the frames of a stream look like.
struct StreamShape {
  StreamAddresses addresses;
  std::vector<std::size_t> sizes;  // with FCS; frames take them in turn. Not empty, each within the limits
  std::uint32_t flows = 1;         // frames take them in turn; within [1, kMaxFlows]
};

struct SendOrder {
  std::uint8_t stream = 0;
  std::uint8_t trial = 0;
  double rate = 0;  // frames per second; 0: as many as are taken
  std::chrono::nanoseconds duration{0};
};

struct ReceiveOrder {
  std::uint8_t stream = 0;  // frames of others are counted as foreign
  std::uint8_t trial = 0;   // frames of others are counted as stale
  bool record_latency = false;
};

struct SendReport {
  std::uint64_t intended = 0;            // frames; without a rate the same as sent
  std::uint64_t sent = 0;                // frames that the switch took
  std::uint64_t bytes = 0;               // of them, without FCS
  std::chrono::nanoseconds duration{0};  // without pauses
  std::chrono::nanoseconds paused{0};
};

struct ReceiveReport {
  std::uint64_t frames = 0;  // different ones
  std::uint64_t duplicates = 0;
  std::uint64_t reordered = 0;  // among frames
  std::uint64_t too_late = 0;   // more than SequenceTracker::kWindow numbers late: frames or duplicates
  std::uint64_t stale = 0;      // of an earlier trial
  std::uint64_t foreign = 0;    // not of this stream, ARP excluded
};

class TrafficPort final : public Port {
 public:
  /// Throws std::system_error.
  explicit TrafficPort(const StationConfig& config);

  /// Asks for the MAC address of a neighbour, which resolved() gives once it is known.
  void resolve(const Ipv4Bytes& address) noexcept;
  [[nodiscard]] std::optional<MacBytes> resolved() const noexcept;

  /// The stream to send from now on. Allocates.
  void shape(const StreamShape& stream);
  void send(const SendOrder& order) noexcept;
  /// Ends a trial before its time.
  void stop() noexcept;
  [[nodiscard]] SendReport send_report() const noexcept;
  /// True until the last frame of the trial was sent. Any thread.
  [[nodiscard]] bool sending() const noexcept { return sending_.load(std::memory_order_acquire); }

  /// Forgets what was received and counts for a new trial.
  void expect(const ReceiveOrder& order) noexcept;
  [[nodiscard]] ReceiveReport receive_report() const noexcept;
  [[nodiscard]] LatencyHistogram latency() const noexcept;

  void pull(Burst& burst) override;
  void release(std::size_t consumed) override;
  [[nodiscard]] std::size_t push(std::span<const FrameView* const> frames) override;
  [[nodiscard]] int wake_fd() const noexcept override { return wake_.get(); }
  [[nodiscard]] bool arm() override { return sending() || arp_waits_.load(); }
  void disarm() override;
  void set_link(bool) override {}

 private:
  // Where the stream is: which frame comes next, and which size and flow it takes.
  struct Cursor {
    std::uint64_t sequence = 0;
    std::size_t size = 0;  // index into sizes_
    std::uint32_t flow = 0;
    std::uint64_t bytes = 0;  // of frames before this one
  };
  void advance(Cursor& cursor) const noexcept;
  [[nodiscard]] bool all_sent() const noexcept;
  void finish(std::int64_t now) noexcept;
  void wake() noexcept;

  FileDescriptor wake_;  // eventfd

  std::vector<FrameTemplate> templates_;  // by distinct size
  std::vector<std::size_t> sizes_;        // indices into templates_
  std::uint32_t flows_ = 1;
  std::vector<std::byte> payload_;  // what follows the header of long frames

  SendOrder order_;
  Pacer pacer_;
  Cursor next_;    // the first frame that the switch has not taken
  Cursor pulled_;  // behind the last frame of the current pull
  bool arp_in_burst_ = false;
  bool stalled_ = false;     // the last pull found no room for all its frames
  std::int64_t active_ = 0;  // duration of the trial once it is over
  std::atomic<bool> sending_{false};

  // Of whoever pushes, and asks:
  mutable BriefMutex mutex_;
  ArpStation arp_;
  std::atomic<bool> arp_waits_{false};  // arp_ has a frame to send; changed under the mutex
  ReceiveOrder expected_;
  SequenceTracker tracker_;
  LatencyHistogram latency_;
  std::uint64_t stale_ = 0, foreign_ = 0;
};

}  // namespace patchbay::vswitch::traffic
