// The switch of a lab: workers, segments, and the ports attached to them, by name. Each source of a port
// belongs to a worker: the ports of a bridge are spread over all workers, those of a wire stay together, so
// that a reply finds the worker awake, and further queues of a port go wherever there is least to do.
//
// Threads: any one thread at a time (the engine's main thread) but a worker's; what touches a segment is done
// while all workers stand between two bursts. Ports belong to the caller and must outlive the switch or be
// detached first.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "vswitch/segment.h"
#include "vswitch/worker.h"

namespace patchbay::vswitch {

class Switch {
 public:
  /// Throws std::system_error if a worker cannot start, std::invalid_argument for more than kMaxWorkers.
  explicit Switch(unsigned workers = 1);
  ~Switch();
  Switch(const Switch&) = delete;
  Switch& operator=(const Switch&) = delete;

  /// Takes a segment in. The reference stays valid as long as the switch.
  Segment& add(std::unique_ptr<Segment> segment);
  /// The same; all its ports will be on the worker of an attached port.
  Segment& add_beside(std::string_view port, std::unique_ptr<Segment> segment);
  /// Detaches what is attached and destroys the segment.
  void remove(Segment& segment);
  /// Attaches a port and starts forwarding. Throws std::runtime_error if the name is taken or the segment is
  /// full.
  void attach(Segment& segment, Port& port);
  /// Stops forwarding for a port and lets go of it and its tap. Throws std::out_of_range for an unknown port.
  void detach(std::string_view port);
  /// Puts `port` in the place of the port of its name, which is returned and belongs to its owner again. Link
  /// state and tap stay. Throws std::out_of_range for an unknown name.
  Port& replace(Port& port);

  [[nodiscard]] bool has_port(std::string_view name) const;
  [[nodiscard]] unsigned worker_count() const noexcept { return static_cast<unsigned>(workers_.size()); }
  /// The worker of the port's first source.
  [[nodiscard]] unsigned worker_of(std::string_view port) const;
  /// The thread of that number; lives as long as the switch.
  [[nodiscard]] Worker& worker(unsigned number) const { return *workers_.at(number); }
  /// These throw std::out_of_range for an unknown port.
  void set_tap(std::string_view port, TapPoint* tap);
  void set_link(std::string_view port, bool up);
  [[nodiscard]] bool carrier(std::string_view port);

  [[nodiscard]] std::vector<SegmentSnapshot> snapshot();
  [[nodiscard]] std::vector<Worker::Stats> worker_stats() const;
  /// Stops forwarding for good. Ports may be destroyed afterwards.
  void stop();

 private:
  struct Home {
    std::unique_ptr<Segment> segment;
    std::optional<unsigned> worker;  // of all its ports
  };
  struct Place {
    Segment* segment;
    PortIndex index;
    unsigned worker;
  };
  [[nodiscard]] const Place& place(std::string_view port) const;
  /// Runs `task` while no worker forwards.
  void change(const std::function<void()>& task);
  [[nodiscard]] unsigned least_busy() const noexcept;
  void start_sources(const Place& at);
  void stop_sources(const Place& at);

  std::vector<Home> segments_;
  std::unordered_map<std::string, Place> ports_;
  bool stopped_ = false;
  std::vector<std::unique_ptr<Worker>> workers_;  // last: they end before what they use
};

}  // namespace patchbay::vswitch
