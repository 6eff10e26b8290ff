// The impaired link ends of a lab: puts an ImpairedPort in front of what is attached there and takes it away
// again, while traffic flows. A link end that nobody impairs has nothing in front of it.
//
// Threads: the engine's main thread.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>

#include "tools/lab/model.h"
#include "vswitch/impairment/impaired_port.h"
#include "vswitch/switch.h"

namespace patchbay::tools {

/// A link end by its parts.
struct LinkEnd {
  std::string node;
  std::string interface;
  [[nodiscard]] std::string name() const { return node + ":" + interface; }
};

class Impairments {
 public:
  /// Random numbers depend on the names of lab, node and interface, so that runs are repeatable. Must outlive
  /// the switch that the ports are attached to.
  explicit Impairments(std::string lab) : lab_(std::move(lab)) {}

  /// Impairs what the node sends at a link end where `port` is attached. Frames that are held keep their
  /// time; without any impairment they leave at once. Throws std::system_error if there is no memory.
  void set(vswitch::Switch& vswitch, const LinkEnd& end, vswitch::Port& port, const Netem& netem);

  /// All zero for an end that is not impaired.
  [[nodiscard]] Netem at(const std::string& end) const;
  /// Frames that wait there.
  [[nodiscard]] std::size_t held(vswitch::Switch& vswitch, const std::string& end) const;

 private:
  struct Impaired {
    Netem netem;
    std::unique_ptr<vswitch::ImpairedPort> port;
  };
  static void remove_when_empty(vswitch::Switch& vswitch, Impaired& impaired);

  std::string lab_;
  std::map<std::string, Impaired> ends_;  // by name; no port where nothing is in front any more
};

}  // namespace patchbay::tools
