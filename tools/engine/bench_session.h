// A running benchmark of the engine: generators stand at two link ends in place of what is attached there,
// and a client runs trials between them, one request after the other, over a connection that it was given for
// this.
//
// Requests, in the form of tools/control/protocol.h:
//   prepare {"sizes": [64, 570], "flows": 1}      frame sizes with FCS, taken in turn; finds next hops,
//   probes the path trial   {"path": "lab" | "reference",         reference: a wire of its own between two
//   generators, same worker
//            "rate": 1e6,                         frames per second in each direction; 0: as many as are
//            taken "milliseconds": 1000, "bidirectional": false, "latency": false}
//
// Threads: constructor and destructor on the engine's main thread; trials on a thread of its own. The
// generators themselves run on the switch's workers.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tools/control/protocol.h"
#include "tools/lab/address.h"
#include "vswitch/file_descriptor.h"
#include "vswitch/switch.h"
#include "vswitch/traffic/traffic_port.h"

namespace patchbay::tools {

struct BenchEnd {
  std::string port;  // the link end
  MacAddress mac{};
  IpAddress address;   // IPv4
  IpAddress next_hop;  // on the way to the other end
};

class BenchSession {
 public:
  /// Takes the link ends over. Throws std::system_error.
  BenchSession(vswitch::Switch& vswitch, std::array<BenchEnd, 2> ends);
  /// Ends the trial that runs and gives the link ends back.
  ~BenchSession();
  BenchSession(const BenchSession&) = delete;
  BenchSession& operator=(const BenchSession&) = delete;

  [[nodiscard]] const std::array<BenchEnd, 2>& ends() const noexcept { return ends_; }
  /// Serves `client`. `on_end` is called on the session's thread when the client is gone; it must only ask
  /// another thread to destroy this object.
  void start(vswitch::FileDescriptor client, std::function<void()> on_end);

 private:
  using TrafficPort = vswitch::traffic::TrafficPort;
  using Json = control::Json;

  /// A generator, and the thread it may be used on.
  struct Station {
    std::unique_ptr<TrafficPort> port;
    vswitch::Worker* worker = nullptr;
  };
  using Path = std::array<Station, 2>;

  struct Trial {
    double rate = 0;
    std::chrono::nanoseconds duration{0};
    std::vector<std::size_t> senders;  // indices of the ends that send
    bool latency = false;
  };
  struct Direction {
    std::size_t from;
    vswitch::traffic::SendReport sent;
    vswitch::traffic::ReceiveReport received;
    vswitch::traffic::LatencyHistogram latency;
  };

  void serve();
  [[nodiscard]] Json handle(const control::Request& request);
  [[nodiscard]] Json prepare(const Json& args);
  [[nodiscard]] Json run_trial(const Json& args);
  [[nodiscard]] vswitch::traffic::MacBytes resolve(std::size_t from);
  void probe(std::size_t from, std::size_t frames);
  [[nodiscard]] std::vector<Direction> measure(Path& path, const Trial& trial);
  /// Waits; false if the client is gone or the session is to end.
  [[nodiscard]] bool pause(std::chrono::milliseconds time) const;

  vswitch::Switch& switch_;
  std::array<BenchEnd, 2> ends_;
  std::array<vswitch::Port*, 2> displaced_{};
  vswitch::Segment* reference_wire_ = nullptr;
  Path lab_, reference_;
  bool prepared_ = false;
  std::uint8_t trial_ = 0;
  std::chrono::milliseconds path_delay_{0};  // the longest that a probe took

  vswitch::FileDescriptor client_;
  std::function<void()> on_end_;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace patchbay::tools
