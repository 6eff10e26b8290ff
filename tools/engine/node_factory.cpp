#include "tools/engine/node_factory.h"

#include <algorithm>
#include <fstream>

#include "tools/engine/ethdev_node.h"
#include "tools/engine/external_node.h"
#include "tools/engine/host_requirements.h"
#include "tools/engine/kvm_machine.h"
#include "tools/engine/namespace_node.h"
#include "tools/engine/qemu/program.h"
#include "tools/engine/qemu/qemu_machine.h"
#include "tools/engine/router_node.h"
#include "tools/engine/vm_node.h"

namespace patchbay::tools {

namespace {

/// Lines of /etc/hosts: every node by the addresses of its interfaces.
void write_hosts(const Lab& lab, const std::filesystem::path& path) {
  std::ofstream hosts(path);
  hosts << "127.0.0.1 localhost\n::1 localhost\n";
  for (const Node& node : lab.nodes) {
    for (const Interface& interface : node.interfaces) {
      for (const auto* addresses : {&interface.ipv4, &interface.ipv6}) {
        for (const InterfaceAddress& address : *addresses) {
          const std::string text = to_string(address);
          hosts << text.substr(0, text.find('/')) << ' ' << node.name << '\n';
        }
      }
    }
  }
}

}  // namespace

NodeFactory::NodeFactory(const Lab& lab, const RunDirectory& directory, const EngineOptions& options,
                         boost::asio::io_context& loop)
    : lab_(lab),
      directory_(directory),
      options_(options),
      loop_(loop),
      hosts_file_((directory.path() / "hosts").string()) {
  write_hosts(lab_, hosts_file_);
}

const vmm::KvmSystem& NodeFactory::kvm() {
  if (!kvm_) {
    kvm_ = std::make_unique<vmm::KvmSystem>(options_.kvm_path);
    const auto routers = std::ranges::count(lab_.nodes, NodeKind::router, &Node::kind);
    kvm_->stock(static_cast<std::size_t>(routers));
  }
  return *kvm_;
}

std::unique_ptr<EngineNode> NodeFactory::make_vm(const Node& node) {
  if (!services_) services_ = std::make_unique<MachineServices>(options_.guest_agent);
  EngineChoice choice = engine_for(node, options_.kvm_path);
  std::unique_ptr<GuestMachine> machine;
  if (choice.engine == VmEngine::qemu) {
    machine = std::make_unique<QemuMachine>(qemu::find_program(), *services_, node, directory_, loop_);
  } else {
    machine =
        std::make_unique<KvmMachine>(kvm(), *services_, node, directory_.console(node.name).string(), loop_);
  }
  return std::make_unique<VmNode>(std::move(machine), std::move(choice), node, loop_);
}

std::unique_ptr<EngineNode> NodeFactory::make(const Node& node) {
  switch (node.kind) {
    case NodeKind::linux: {
      auto made = std::make_unique<NamespaceNode>(node, hosts_file_);
      directory_.link_namespace(lab_.full_name(node), made->pid());
      return made;
    }
    case NodeKind::router:
      if (!router_image_)
        router_image_ = std::make_shared<vmm::ElfImage>(vmm::ElfImage::load(options_.router_image.string()));
      return std::make_unique<RouterNode>(kvm(), router_image_, node, directory_.console(node.name).string(),
                                          loop_);
    case NodeKind::vm:
      return make_vm(node);
    case NodeKind::external:
      return std::make_unique<ExternalNode>(node, directory_, loop_);
    case NodeKind::ethdev:
      return std::make_unique<EthdevNode>(node);
    case NodeKind::bridge:
      break;
  }
  return nullptr;
}

}  // namespace patchbay::tools
