// What `patchbay power` does with a virtual machine's power switch: each action, and switching off with patience.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>

#include "tools/engine/engine_node.h"
#include "tools/engine/power_switch.h"

namespace patchbay::tools {

class MachinePower {
 public:
  /// Both outlive it. What still runs in the loop when it is destroyed is forgotten.
  MachinePower(boost::asio::io_context& loop, PowerSwitch& machine) : loop_(loop), machine_(machine) {}

  /// Answers {"state": ..., "forced": ...} when the machine has got there. Throws RequestError where the
  /// action makes no sense in the machine's state.
  void handle(const PowerRequest& request, const EngineNode::Exchange& exchange);

 private:
  struct Waiting;

  void wait(std::shared_ptr<Waiting> waiting);
  void answer(const EngineNode::Exchange& exchange, bool forced = false);

  boost::asio::io_context& loop_;
  PowerSwitch& machine_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // watched by handlers that outlive this
};

}  // namespace patchbay::tools
