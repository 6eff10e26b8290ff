#include "tools/lab/model.h"

#include <fmt/format.h>

#include <algorithm>

namespace patchbay::tools {

std::string_view to_string(NodeKind kind) {
  switch (kind) {
    case NodeKind::router:
      return "router";
    case NodeKind::vm:
      return "vm";
    case NodeKind::linux:
      return "linux";
    case NodeKind::external:
      return "external";
    case NodeKind::ethdev:
      return "ethdev";
    case NodeKind::bridge:
      return "bridge";
  }
  return "linux";
}

std::string_view to_string(NicModel model) {
  switch (model) {
    case NicModel::virtio_net:
      return "virtio-net";
    case NicModel::e1000:
      return "e1000";
  }
  return "virtio-net";
}

std::string_view to_string(VmEngine engine) {
  switch (engine) {
    case VmEngine::automatic:
      return "auto";
    case VmEngine::kvm:
      return "kvm";
    case VmEngine::qemu:
      return "qemu";
  }
  return "auto";
}

const Interface* Node::find_interface(std::string_view interface_name) const {
  const auto found = std::find_if(interfaces.begin(), interfaces.end(),
                                  [&](const Interface& i) { return i.name == interface_name; });
  return found == interfaces.end() ? nullptr : &*found;
}

const Node* Lab::find_node(std::string_view node_name) const {
  const auto found =
      std::find_if(nodes.begin(), nodes.end(), [&](const Node& n) { return n.name == node_name; });
  return found == nodes.end() ? nullptr : &*found;
}

std::string Lab::full_name(const Node& node) const {
  return prefix.empty() ? node.name : fmt::format("{}-{}-{}", prefix, name, node.name);
}

}  // namespace patchbay::tools
