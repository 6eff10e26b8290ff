#include "tools/engine/router_node.h"

#include <fmt/format.h>

#include "tools/lab/boot_config.h"

namespace patchbay::tools {

namespace {

constexpr std::uint64_t kDefaultMemory = 16ULL << 20;
constexpr std::uint64_t kMemoryPerCard = 4ULL << 20;  // its share of packet buffers

}  // namespace

RouterNode::RouterNode(const vmm::KvmSystem& kvm, std::shared_ptr<const vmm::ElfImage> image,
                       const Node& node, const std::string& console_path, boost::asio::io_context& loop) {
  vmm::VmConfig config;
  std::string names;
  for (const Interface& interface : node.interfaces) {
    nics_.emplace_back(NicConfig::of(node.name, interface));
    config.functions.push_back(nics_.back().function());
    names += (names.empty() ? "" : ",") + interface.name;
  }
  console_ = std::make_unique<LoopConsole>(
      loop, console_path, [this](std::span<const std::byte> input) { (void)machine_->console_input(input); });

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
  switch_ = std::make_unique<KvmPowerSwitch>(*machine_);
  power_ = std::make_unique<MachinePower>(loop, *switch_);
}

control::Json RouterNode::facts() const {
  const vmm::VmStatus status = machine_->status();
  control::Json facts{
      {"state", vmm::to_string(status.state)}, {"console", console_->path()}, {"exec", "console"}};
  if (!status.failure.empty()) facts["failure"] = status.failure;
  return facts;
}

}  // namespace patchbay::tools
