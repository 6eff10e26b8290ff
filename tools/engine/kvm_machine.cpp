#include "tools/engine/kvm_machine.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "devices/block/overlay_disk.h"
#include "devices/block/raw_disk.h"
#include "devices/block/virtio_block.h"
#include "devices/console/virtio_console.h"
#include "devices/entropy/virtio_rng.h"
#include "devices/virtio/pci_transport.h"
#include "tools/agent/protocol.h"

namespace patchbay::tools {

KvmMachine::KvmMachine(const vmm::KvmSystem& kvm, MachineServices& services, const Node& node,
                       const std::string& console_path, boost::asio::io_context& loop)
    : agent_port_(agent::kPortName), agent_line_(loop, agent_port_) {
  vmm::VmConfig config;
  nics_.reserve(node.interfaces.size());
  for (const Interface& interface : node.interfaces) {
    nics_.emplace_back(NicConfig::of(node.name, interface));
    config.functions.push_back(nics_.back().function());
  }
  add_disks(*node.boot, services, config);
  add(std::make_unique<devices::entropy::VirtioRng>(services.doorbells()),
      devices::entropy::VirtioRng::kPciClass, config);
  add(std::make_unique<devices::console::VirtioConsole>(std::vector{&agent_port_}, services.doorbells()),
      devices::console::VirtioConsole::kPciClass, config);
  console_ = std::make_unique<LoopConsole>(
      loop, console_path, [this](std::span<const std::byte> input) { (void)machine_->console_input(input); });

  config.name = node.name;
  config.vcpus = node.cpu;
  config.memory_bytes = memory_of(node);
  config.kernel = services.kernel(*node.boot);
  if (auto initrd = services.initrd(*node.boot)) config.modules.push_back({std::move(*initrd), "initrd"});
  config.command_line = node.boot->command_line;
  config.interrupts = vmm::Interrupts::irqchip;
  config.console_output = [this](std::span<const std::byte> output) { console_->write(output); };
  machine_ = std::make_unique<vmm::VirtualMachine>(kvm, std::move(config));
  power_ = std::make_unique<KvmPowerSwitch>(*machine_);
}

void KvmMachine::add(std::unique_ptr<devices::virtio::Device> device, std::uint32_t pci_class,
                     vmm::VmConfig& config) {
  config.functions.push_back(std::make_shared<devices::virtio::PciTransport>(*device, pci_class));
  devices_.push_back(std::move(device));
}

void KvmMachine::add_disks(const VmBoot& boot, MachineServices& services, vmm::VmConfig& config) {
  namespace block = devices::block;
  char letter = 'a';
  for (const Disk& disk : boot.disks) {
    std::unique_ptr<block::Disk> medium;
    if (disk.copy_on_write) {
      medium = std::make_unique<block::OverlayDisk>(disk.source.string(),
                                                    std::filesystem::temp_directory_path().string());
    } else {
      medium = std::make_unique<block::RawDisk>(disk.source.string(), disk.read_only);
    }
    add(std::make_unique<block::VirtioBlock>(std::move(medium), fmt::format("patchbay-vd{}", letter++),
                                             services.doorbells(), services.disks()),
        block::VirtioBlock::kPciClass, config);
  }
}

}  // namespace patchbay::tools
