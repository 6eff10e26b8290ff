#include "tools/engine/vm_node.h"

#include <fmt/format.h>

#include <filesystem>
#include <stdexcept>

#include "devices/block/overlay_disk.h"
#include "devices/block/raw_disk.h"
#include "devices/block/virtio_block.h"
#include "devices/console/virtio_console.h"
#include "devices/entropy/virtio_rng.h"
#include "devices/virtio/pci_transport.h"
#include "tools/agent/protocol.h"
#include "tools/engine/agent_relay.h"
#include "tools/engine/guest_setup.h"

namespace patchbay::tools {

namespace {

constexpr std::uint64_t kDefaultMemory = 512ULL << 20;
constexpr auto kCommandTimeout = std::chrono::seconds(60);

}  // namespace

VmNode::VmNode(const vmm::KvmSystem& kvm, MachineServices& services, const Node& node,
               const std::string& console_path, boost::asio::io_context& loop)
    : node_(node), loop_(loop), agent_port_(agent::kPortName) {
  vmm::VmConfig config;
  nics_.reserve(node.interfaces.size());
  for (const Interface& interface : node.interfaces) {
    nics_.emplace_back(NicConfig::of(node.name, interface));
    config.functions.push_back(nics_.back().function());
  }
  add_disks(services, config);
  add(std::make_unique<devices::entropy::VirtioRng>(services.doorbells()),
      devices::entropy::VirtioRng::kPciClass, config);
  add(std::make_unique<devices::console::VirtioConsole>(std::vector{&agent_port_}, services.doorbells()),
      devices::console::VirtioConsole::kPciClass, config);
  console_ = std::make_unique<LoopConsole>(
      loop, console_path, [this](std::span<const std::byte> input) { (void)machine_->console_input(input); });

  config.name = node.name;
  config.vcpus = node.cpu;
  config.memory_bytes = node.memory_bytes.value_or(kDefaultMemory);
  config.kernel = services.kernel(node.boot->kernel);
  if (!node.boot->initrd.empty()) config.modules.push_back({services.initrd(node.boot->initrd), "initrd"});
  config.command_line = node.boot->command_line;
  config.interrupts = vmm::Interrupts::irqchip;
  config.console_output = [this](std::span<const std::byte> output) { console_->write(output); };
  machine_ = std::make_unique<vmm::VirtualMachine>(kvm, std::move(config));
  power_ = std::make_unique<MachinePower>(loop, *machine_);

  if (const std::string setup = guest_setup_script(node); !setup.empty()) commands_.push_back(setup);
  commands_.insert(commands_.end(), node.exec.begin(), node.exec.end());
  agent_ = std::make_unique<AgentChannel>(loop, agent_port_, [this] {
    prepared_ = false;
    preparation_failure_.clear();
    prepare(0, ++boot_);
  });
}

VmNode::~VmNode() {
  ++boot_;  // what the agent's end reports is of no interest any more
}

void VmNode::add(std::unique_ptr<devices::virtio::Device> device, std::uint32_t pci_class,
                 vmm::VmConfig& config) {
  config.functions.push_back(std::make_shared<devices::virtio::PciTransport>(*device, pci_class));
  devices_.push_back(std::move(device));
}

void VmNode::add_disks(MachineServices& services, vmm::VmConfig& config) {
  namespace block = devices::block;
  char letter = 'a';
  for (const Disk& disk : node_.boot->disks) {
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

void VmNode::start() {
  machine_->power_on();
  deadline_ = Clock::now() + node_.boot->timeout;
}

bool VmNode::needs_agent() const {
  bool needed = !node_.exec.empty();
  for (const Interface& interface : node_.interfaces)
    needed |= !interface.ipv4.empty() || !interface.ipv6.empty();
  return needed;
}

bool VmNode::is_ready() {
  if (prepared_ || !needs_agent()) return true;
  if (!preparation_failure_.empty())
    throw std::runtime_error(fmt::format("node '{}': {}", node_.name, preparation_failure_));
  const vmm::VmStatus status = machine_->status();
  if (status.state == vmm::VmState::off || status.state == vmm::VmState::crashed) {
    throw std::runtime_error(
        fmt::format("node '{}' is {} instead of up: {}", node_.name, vmm::to_string(status.state),
                    status.failure.empty() ? "the guest switched itself off" : status.failure));
  }
  if (Clock::now() < deadline_) return false;
  throw std::runtime_error(
      fmt::format("node '{}': no patchbay-agent has answered in the guest, which has to set its addresses "
                  "and run its exec list. Put "
                  "the agent into the image, or give the guest more time: config: {{vars: {{patchbay: "
                  "{{boot-timeout: 300s}}}}}}",
                  node_.name));
}

void VmNode::prepare(std::size_t index, unsigned boot) {
  if (index == commands_.size()) {
    prepared_ = true;
    return;
  }
  const Command command{{"sh", "-c", commands_[index]}, {node_.env.begin(), node_.env.end()}};
  agent_->run(command, kCommandTimeout, [this, index, boot](const CommandResult& result) {
    if (boot != boot_ || result.status == AgentChannel::kLost) return;
    if (result.status == 0) return prepare(index + 1, boot);
    const bool setup = commands_.size() > node_.exec.size() && index == 0;
    preparation_failure_ =
        fmt::format("{} ended with status {}: {}",
                    setup ? "setting up the interfaces" : "exec '" + commands_[index] + "'", result.status,
                    result.error_output);
  });
}

control::Json VmNode::facts() const {
  const vmm::VmStatus status = machine_->status();
  control::Json facts{{"state", vmm::to_string(status.state)},
                      {"console", console_->path()},
                      {"exec", "agent"},
                      {"agent", agent_->connected()},
                      {"image", node_.boot->kernel.string()},
                      {"cpu", node_.cpu},
                      {"memory_mib", node_.memory_bytes.value_or(kDefaultMemory) >> 20}};
  if (!status.failure.empty()) facts["failure"] = status.failure;
  if (!preparation_failure_.empty()) facts["failure"] = preparation_failure_;
  return facts;
}

void VmNode::exec(const control::Json& arguments, const Exchange& exchange) {
  Command command;
  command.words = arguments.value("words", std::vector<std::string>());
  if (command.words.empty()) throw control::RequestError("the command is empty");
  for (const auto& [name, value] : node_.env)
    command.environment.emplace_back(name, value);
  if (!agent_->connected()) {
    const vmm::VmState state = machine_->state();
    throw control::RequestError(
        fmt::format("no agent answers in node '{}', which is {}", node_.name, vmm::to_string(state)),
        state == vmm::VmState::running
            ? "it may still be booting; otherwise start patchbay-agent in the guest, or use "
              "its console: patchbay console " +
                  node_.name
            : "patchbay power on " + node_.name);
  }
  exchange->upgrade(control::Json::object(), [this, command](vswitch::FileDescriptor client) {
    try {
      relay_command(loop_, *agent_, command, std::move(client));
    } catch (const std::exception&) {
      // The agent has just gone; the client sees its connection closed.
    }
  });
}

}  // namespace patchbay::tools
