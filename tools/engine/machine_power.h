// The power switch of a virtual machine as `patchbay power` uses it: what each action means in each state,
// and switching off with patience.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>

#include "tools/engine/engine_node.h"
#include "vmm/virtual_machine.h"

namespace patchbay::tools {

class MachinePower {
 public:
  /// Both outlive it. What still runs in the loop when it is destroyed is forgotten.
  MachinePower(boost::asio::io_context& loop, vmm::VirtualMachine& machine)
      : loop_(loop), machine_(machine) {}

  /// Answers {"state": ..., "forced": ...} when the machine has got there. Throws RequestError where the
  /// action makes no sense in the machine's state.
  void handle(const PowerRequest& request, const EngineNode::Exchange& exchange);

 private:
  struct Waiting;

  void wait_for_off(std::shared_ptr<Waiting> waiting);
  void answer(const EngineNode::Exchange& exchange, bool forced = false);

  boost::asio::io_context& loop_;
  vmm::VirtualMachine& machine_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // watched by handlers that outlive this
};

}  // namespace patchbay::tools
