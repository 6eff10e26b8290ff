// A `vm` of the lab: a virtual machine with an operating system of the user's. Beside its network cards and
// disks it has a 16550 console, an entropy device, and a serial port over which patchbay-agent, if it runs in
// the guest, takes commands.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "devices/console/serial_port.h"
#include "devices/virtio/device.h"
#include "tools/engine/agent_channel.h"
#include "tools/engine/engine_node.h"
#include "tools/engine/loop_console.h"
#include "tools/engine/machine_power.h"
#include "tools/engine/machine_services.h"
#include "tools/engine/nic.h"
#include "tools/lab/model.h"
#include "vmm/virtual_machine.h"

namespace patchbay::tools {

class VmNode final : public EngineNode {
 public:
  /// Builds the machine, switched off. `kvm`, `services`, `node` and `loop` outlive it. Throws what vmm and
  /// the devices throw.
  VmNode(const vmm::KvmSystem& kvm, MachineServices& services, const Node& node,
         const std::string& console_path, boost::asio::io_context& loop);
  ~VmNode() override;

  [[nodiscard]] vswitch::Port& port(std::size_t index) override { return nics_[index].port(); }
  [[nodiscard]] std::string_view hardware(std::size_t index) const override {
    return to_string(nics_[index].model());
  }
  void start() override;
  void stop() noexcept override { machine_->power_off(); }
  /// Ready when the guest's agent has set the interfaces up and run the list; at once if there is nothing to
  /// do.
  [[nodiscard]] bool is_ready() override;
  [[nodiscard]] control::Json facts() const override;
  void power(const PowerRequest& request, const Exchange& exchange) override {
    power_->handle(request, exchange);
  }
  void exec(const control::Json& arguments, const Exchange& exchange) override;

 private:
  using Clock = std::chrono::steady_clock;

  void add_disks(MachineServices& services, vmm::VmConfig& config);
  void add(std::unique_ptr<devices::virtio::Device> device, std::uint32_t pci_class, vmm::VmConfig& config);
  [[nodiscard]] bool needs_agent() const;
  /// After every boot: runs the set-up and the `exec` list, from command `index` on.
  void prepare(std::size_t index, unsigned boot);

  const Node& node_;
  boost::asio::io_context& loop_;
  std::vector<Nic> nics_;
  devices::console::SerialPort agent_port_;
  std::vector<std::unique_ptr<devices::virtio::Device>> devices_;
  std::unique_ptr<LoopConsole> console_;
  std::unique_ptr<vmm::VirtualMachine> machine_;  // uses all of the above
  std::unique_ptr<MachinePower> power_;

  std::vector<std::string> commands_;  // for `sh -c`
  Clock::time_point deadline_;         // for being ready
  unsigned boot_ = 0;                  // counts the agent's hellos
  bool prepared_ = false;
  std::string preparation_failure_;
  std::unique_ptr<AgentChannel> agent_;  // first to go: it calls back
};

}  // namespace patchbay::tools
