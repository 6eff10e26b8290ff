// A router of the lab: a virtual machine that runs the appliance, with one virtio-net card per interface.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tools/engine/engine_node.h"
#include "tools/engine/loop_console.h"
#include "tools/engine/machine_power.h"
#include "tools/engine/nic.h"
#include "tools/lab/model.h"
#include "vmm/virtual_machine.h"

namespace patchbay::tools {

class RouterNode final : public EngineNode {
 public:
  /// Builds the machine, switched off. Throws what vmm throws.
  RouterNode(const vmm::KvmSystem& kvm, std::shared_ptr<const vmm::ElfImage> image, const Node& node,
             const std::string& console_path, boost::asio::io_context& loop);

  [[nodiscard]] vswitch::Port& port(std::size_t index) override { return nics_[index].port(); }
  [[nodiscard]] std::string_view hardware(std::size_t index) const override {
    return to_string(nics_[index].model());
  }
  void start() override { machine_->power_on(); }
  void stop() noexcept override { machine_->power_off(); }
  [[nodiscard]] bool is_independent() const noexcept override { return true; }
  [[nodiscard]] control::Json facts() const override;
  void power(const PowerRequest& request, const Exchange& exchange) override {
    power_->handle(request, exchange);
  }

 private:
  std::vector<Nic> nics_;
  std::unique_ptr<LoopConsole> console_;
  std::unique_ptr<vmm::VirtualMachine> machine_;  // uses all of the above
  std::unique_ptr<KvmPowerSwitch> switch_;
  std::unique_ptr<MachinePower> power_;
};

}  // namespace patchbay::tools
