// A node as the engine sees it, whatever it is made of: ports for the switch, a beginning and an end, and the
// ways in that a user has. A kind of node is one class that implements this; node_factory.cpp is the only
// place that knows all of them. Nodes of kind bridge are segments of the switch and none of these.
//
// Threads: everything on the engine's main thread, but for what is_independent() says. Nothing here may block longer than a machine takes to
// stop; what takes longer goes on in the engine's loop.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "tools/control/server.h"
#include "vswitch/port.h"

namespace patchbay::tools {

enum class PowerAction { on, off, reset, pause, resume };

struct PowerRequest {
  PowerAction action = PowerAction::off;
  bool force = false;                          // off: do not ask the guest
  std::chrono::milliseconds patience{10'000};  // off: how long a guest that was asked has before it is forced
};

class EngineNode {
 public:
  using Exchange = std::shared_ptr<control::Exchange>;

  virtual ~EngineNode() = default;

  /// The port of the node's interface `index`, the same at every call. It outlives the switch.
  [[nodiscard]] virtual vswitch::Port& port(std::size_t index) = 0;
  /// What that interface is made of, as captures and listings name it: "virtio-net", "tap".
  [[nodiscard]] virtual std::string_view hardware(std::size_t index) const = 0;

  /// All ports of the lab are attached: the node may run. Throws with cause and way out.
  virtual void start() = 0;
  /// Lets go of the ports: after the return nothing but the switch uses them.
  virtual void stop() noexcept = 0;
  /// True if start() and stop() may run on any thread, beside those of other nodes.
  [[nodiscard]] virtual bool is_independent() const noexcept { return false; }

  /// Every node of the lab has started: from here on frames may come in that nobody in the lab asked for. Throws as
  /// start() does.
  virtual void open() {}

  /// Begins the node's `exec` list, once every node of the lab has started. Throws if a command fails.
  virtual void run_startup_commands() {}
  /// False while the list, or what has to come before it, still runs in the loop. Throws if it failed.
  [[nodiscard]] virtual bool is_ready() { return true; }

  /// What `inspect` shows besides name and interfaces: always "state"; "failure" if there is one; "pid" of a
  /// namespace's init process; "console", the path of a socket; "exec", how commands get in: "namespace"
  /// (of "pid"), "console", "agent" (the verb `exec`), or absent.
  [[nodiscard]] virtual control::Json facts() const = 0;
  /// What it shows of interface `index` besides name and addresses; an object.
  [[nodiscard]] virtual control::Json interface_facts(std::size_t index) const;

  /// The carrier of interface `index` came or went, for nodes whose guest does not learn it from the port.
  virtual void set_carrier(std::size_t /*index*/, bool /*up*/) {}
  /// Answers `exchange` when done.
  virtual void power(const PowerRequest& request, const Exchange& exchange);
  /// Runs a command in the node, for those whose "exec" is "agent". `arguments`: {"words": [program,
  /// argument...]}. Upgrades the exchange to the stream that tools/agent/protocol.h describes.
  virtual void exec(const control::Json& arguments, const Exchange& exchange);
};

}  // namespace patchbay::tools
