#include "tools/engine/host_requirements.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "vmm/host_probe.h"

namespace patchbay::tools {

std::string missing_for(const Lab& lab, const std::string& kvm_path) {
  if (::geteuid() != 0) return "namespaces and TAP interfaces need root; run the command with sudo";
  const auto router = std::find_if(lab.nodes.begin(), lab.nodes.end(),
                                   [](const Node& node) { return node.kind == NodeKind::router; });
  if (router == lab.nodes.end()) return {};
  const vmm::HostProbe probe = vmm::probe_host(kvm_path);
  if (probe.kind != vmm::HostKind::none) return {};
  return fmt::format(
      "node '{}' is a router VM, which needs KVM: {} (labs of linux and bridge nodes run without)",
      router->name, probe.problem);
}

}  // namespace patchbay::tools
