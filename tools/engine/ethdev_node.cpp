#include "tools/engine/ethdev_node.h"

namespace patchbay::tools {

static_assert(kMaxEthdevMtu <= vswitch::EthdevPort::kMaxMtu);

EthdevNode::EthdevNode(const Node& node) : devargs_(node.devargs) {
  if (node.interfaces.empty()) return;
  const std::string end = node.name + ":" + node.interfaces.front().name;
  port_ = std::make_unique<vswitch::EthdevPort>(
      vswitch::EthdevConfig{.port_name = end, .devargs = devargs_, .mtu = node.interfaces.front().mtu});
}

void EthdevNode::open() {
  if (port_) port_->start();
}

control::Json EthdevNode::facts() const {
  const bool up = port_ != nullptr && port_->has_carrier();
  return {{"state", up ? "up" : "no carrier"}, {"devargs", devargs_}};
}

}  // namespace patchbay::tools
