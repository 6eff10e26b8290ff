#include "tools/engine/external_node.h"

#include <algorithm>

namespace patchbay::tools {

std::filesystem::path vhost_user_socket(const RunDirectory& directory, const Node& node,
                                        const Interface& interface) {
  return interface.vhost_user.socket.empty() ? directory.vhost_user_socket(node.name, interface.name)
                                             : interface.vhost_user.socket;
}

ExternalNode::ExternalNode(const Node& node, const RunDirectory& directory, boost::asio::io_context& loop) {
  for (const Interface& interface : node.interfaces) {
    VhostUserNicConfig config;
    config.port_name = node.name + ":" + interface.name;
    config.socket = vhost_user_socket(directory, node, interface).string();
    if (!interface.vhost_user.client) directory.expect_socket(config.socket);
    config.role =
        interface.vhost_user.client ? VhostUserNicConfig::Role::client : VhostUserNicConfig::Role::server;
    config.mtu = interface.mtu;
    config.queues = interface.queues;
    nics_.push_back(std::make_unique<VhostUserNic>(loop, config));
  }
}

void ExternalNode::stop() noexcept {
  for (const auto& nic : nics_)
    nic->close();
}

control::Json ExternalNode::facts() const {
  const bool connected =
      std::all_of(nics_.begin(), nics_.end(), [](const auto& nic) { return nic->connected(); });
  return {{"state", connected ? "connected" : "waiting"}};
}

}  // namespace patchbay::tools
