// A `vm` under our own VMM, in this process. Beside its network cards and disks it has a 16550 console, an entropy
// device, and a serial port for the guest's agent.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <vector>

#include "devices/console/serial_port.h"
#include "devices/virtio/device.h"
#include "tools/engine/guest_machine.h"
#include "tools/engine/loop_console.h"
#include "tools/engine/machine_services.h"
#include "tools/engine/nic.h"
#include "tools/engine/serial_agent_line.h"
#include "tools/lab/model.h"
#include "vmm/virtual_machine.h"

namespace patchbay::tools {

class KvmMachine final : public GuestMachine {
 public:
  /// Builds the machine, switched off. `kvm`, `services` and `loop` outlive it. Throws what vmm and the devices throw.
  KvmMachine(const vmm::KvmSystem& kvm, MachineServices& services, const Node& node, const std::string& console_path,
             boost::asio::io_context& loop);

  [[nodiscard]] vswitch::Port& port(std::size_t index) override { return nics_[index].port(); }
  [[nodiscard]] std::string_view hardware(std::size_t index) const override { return to_string(nics_[index].model()); }
  [[nodiscard]] PowerSwitch& power() override { return *power_; }
  [[nodiscard]] const PowerSwitch& power() const override { return *power_; }
  [[nodiscard]] AgentLine& agent_line() override { return agent_line_; }
  [[nodiscard]] const std::string& console_path() const override { return console_->path(); }

 private:
  void add_disks(const VmBoot& boot, MachineServices& services, vmm::VmConfig& config);
  void add(std::unique_ptr<devices::virtio::Device> device, std::uint32_t pci_class, vmm::VmConfig& config);

  std::vector<Nic> nics_;
  devices::console::SerialPort agent_port_;
  SerialAgentLine agent_line_;
  std::vector<std::unique_ptr<devices::virtio::Device>> devices_;
  std::unique_ptr<LoopConsole> console_;
  std::unique_ptr<vmm::VirtualMachine> machine_;  // uses all of the above
  std::unique_ptr<KvmPowerSwitch> power_;
};

}  // namespace patchbay::tools
