#include "tools/engine/host_requirements.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "vmm/host_probe.h"

namespace patchbay::tools {

std::string missing_for(const Lab& lab, const std::string& kvm_path) {
  if (::geteuid() != 0) return "namespaces and TAP interfaces need root; run the command with sudo";
  const auto first_of = [&](NodeKind kind) {
    const auto found = std::find_if(lab.nodes.begin(), lab.nodes.end(),
                                    [kind](const Node& node) { return node.kind == kind; });
    return found == lab.nodes.end() ? nullptr : &*found;
  };
  const Node* vm = first_of(NodeKind::vm);
  const Node* machine = vm != nullptr ? vm : first_of(NodeKind::router);
  if (machine == nullptr) return {};
  const vmm::HostProbe probe = vmm::probe_host(kvm_path);
  if (probe.kind == vmm::HostKind::none) {
    return fmt::format("node '{}' is a {}, which needs KVM: {} (labs of linux and bridge nodes run without)",
                       machine->name, vm != nullptr ? "virtual machine" : "router VM", probe.problem);
  }
  if (vm == nullptr || probe.kind == vmm::HostKind::full) return {};
  return fmt::format(
      "node '{}' is a vm, and this host cannot run an operating system's kernel at a useful speed: KVM "
      "emulates "
      "supervisor mode here, {:.1f} million instructions a second were measured. Use a host with VMX or SVM "
      "(a cloud "
      "machine with nested virtualization, bare metal), replace the node by one of kind router or linux, or "
      "try the lab "
      "slowly in the emulated host: tests/emulated_host/run patchbay test -t FILE",
      vm->name, probe.supervisor_instructions_per_second / 1e6);
}

}  // namespace patchbay::tools
