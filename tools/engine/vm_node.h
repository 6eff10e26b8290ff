// A `vm` of the lab: a virtual machine with an operating system of the user's, under one engine or the other
// (guest_machine.h). patchbay-agent, if it runs in the guest, takes commands.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "tools/engine/engine_choice.h"
#include "tools/engine/engine_node.h"
#include "tools/engine/guest_agent.h"
#include "tools/engine/guest_machine.h"
#include "tools/engine/machine_power.h"
#include "tools/lab/model.h"

namespace patchbay::tools {

class VmNode final : public EngineNode {
 public:
  /// `machine` is off; `node` and `loop` outlive this.
  VmNode(std::unique_ptr<GuestMachine> machine, EngineChoice choice, const Node& node, boost::asio::io_context& loop);

  [[nodiscard]] vswitch::Port& port(std::size_t index) override { return machine_->port(index); }
  [[nodiscard]] std::string_view hardware(std::size_t index) const override { return machine_->hardware(index); }
  void set_carrier(std::size_t index, bool up) override { machine_->set_carrier(index, up); }
  void start() override;
  void stop() noexcept override { machine_->power().power_off(); }
  /// Ready when the guest's agent has set the interfaces up and run the list; as soon as the machine runs if there is
  /// nothing to do.
  [[nodiscard]] bool is_ready() override;
  [[nodiscard]] control::Json facts() const override;
  void power(const PowerRequest& request, const Exchange& exchange) override { power_.handle(request, exchange); }
  void exec(const control::Json& arguments, const Exchange& exchange) override;

 private:
  using Clock = std::chrono::steady_clock;

  const Node& node_;
  const EngineChoice choice_;
  std::unique_ptr<GuestMachine> machine_;
  MachinePower power_;
  GuestAgent agent_;
  Clock::time_point deadline_;  // for being ready
};

}  // namespace patchbay::tools
