#include "tools/engine/namespace_node.h"

#include <fmt/format.h>

#include <stdexcept>

#include "tools/node/command.h"
#include "tools/node/interface_setup.h"

namespace patchbay::tools {

namespace {

constexpr auto kExecTimeout = std::chrono::seconds(30);

LinuxNodeConfig config_of(const Node& node, const std::string& hosts_file) {
  LinuxNodeConfig config{.name = node.name, .hosts_file = hosts_file, .binds = {}};
  for (const Bind& bind : node.binds)
    config.binds.push_back({bind.source, bind.target, bind.read_only});
  return config;
}

}  // namespace

NamespaceNode::NamespaceNode(const Node& node, const std::string& hosts_file)
    : node_(node), linux_(config_of(node, hosts_file)) {
  for (const Interface& interface : node.interfaces) {
    taps_.push_back(std::make_unique<vswitch::TapPort>(
        vswitch::TapConfig{node.name + ":" + interface.name, interface.name, linux_.network_namespace()}));
  }
}

void NamespaceNode::start() {
  InterfaceSetup setup(linux_.network_namespace());
  for (const Interface& interface : node_.interfaces) {
    InterfaceSettings settings{
        .name = interface.name, .mtu = interface.mtu, .mac = to_string(interface.mac), .addresses = {}};
    for (const auto& address : interface.ipv4)
      settings.addresses.push_back(to_string(address));
    for (const auto& address : interface.ipv6)
      settings.addresses.push_back(to_string(address));
    setup.apply(settings);
  }
}

void NamespaceNode::run_startup_commands() {
  for (const std::string& command : node_.exec) {
    const CommandResult result = run_in_node(
        linux_.pid_fd(), {{"sh", "-c", command}, {node_.env.begin(), node_.env.end()}}, kExecTimeout);
    if (result.status != 0) {
      throw std::runtime_error(fmt::format("node '{}': exec '{}' ended with status {}: {}", node_.name,
                                           command, result.status, result.error_output));
    }
  }
}

control::Json NamespaceNode::facts() const {
  return {{"state", "running"}, {"pid", pid()}, {"exec", "namespace"}};
}

}  // namespace patchbay::tools
