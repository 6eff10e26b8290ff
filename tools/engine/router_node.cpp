#include "tools/engine/router_node.h"

#include <fmt/format.h>

#include "tools/lab/boot_config.h"

namespace patchbay::tools {

namespace {

constexpr std::uint64_t kDefaultMemory = 16ULL << 20;
constexpr std::uint64_t kMemoryPerCard = 4ULL << 20;  // its share of packet buffers
constexpr std::uint16_t kQueueSize = 256;

}  // namespace

RouterNode::RouterNode(const vmm::KvmSystem& kvm, std::shared_ptr<const vmm::ElfImage> image,
                       const Node& node, const std::string& console_path)
    : name_(node.name) {
  vmm::VmConfig config;
  std::string names;
  for (const Interface& interface : node.interfaces) {
    devices::net::VirtioNetConfig card;
    card.mac = interface.mac;
    card.mtu = static_cast<std::uint16_t>(interface.mtu);
    card.queue_size = kQueueSize;
    auto net = std::make_unique<devices::net::VirtioNet>(node.name + ":" + interface.name, card);
    auto transport =
        std::make_shared<devices::virtio::PciTransport>(*net, devices::net::VirtioNet::kPciClass);
    config.functions.push_back(transport);
    cards_.push_back({std::move(net), std::move(transport)});
    names += (names.empty() ? "" : ",") + interface.name;
  }
  console_ = std::make_unique<vmm::ConsoleSocket>(
      console_path, [this](std::span<const std::byte> input) { (void)machine_->console_input(input); });

  const std::string text = router_boot_config(node);
  const auto bytes = std::as_bytes(std::span(text));
  config.name = node.name;
  config.memory_bytes = node.memory_bytes.value_or(kDefaultMemory + node.interfaces.size() * kMemoryPerCard);
  config.kernel = std::move(image);
  config.interrupts = vmm::Interrupts::wake_only;
  config.command_line = fmt::format("console=0x3f8 nics={} hostname={}", names, node.name);
  config.modules.push_back({std::vector<std::byte>(bytes.begin(), bytes.end()), "config"});
  config.console_output = [this](std::span<const std::byte> output) { console_->write(output); };
  machine_ = std::make_unique<vmm::VirtualMachine>(kvm, std::move(config));
}

}  // namespace patchbay::tools
