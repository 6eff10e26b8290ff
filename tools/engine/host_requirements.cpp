#include "tools/engine/host_requirements.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <map>

#include "tools/engine/qemu/program.h"
#include "vmm/host_probe.h"

namespace patchbay::tools {

namespace {

/// Hosts do not change while a program runs, and a measurement may take 0.2 s.
const vmm::HostProbe& measured(const std::string& kvm_path) {
  static std::map<std::string, vmm::HostProbe> known;
  const auto found = known.find(kvm_path);
  return found != known.end() ? found->second : known.emplace(kvm_path, vmm::probe_host(kvm_path)).first->second;
}

std::string no_kvm(const Node& node, const vmm::HostProbe& host) {
  if (node.kind == NodeKind::vm) {
    return fmt::format("node '{}' is to run under KVM: {} (without 'engine: kvm', it would run under QEMU)", node.name,
                       host.problem);
  }
  return fmt::format("node '{}' is a router VM, which needs KVM: {} (labs of linux, bridge and vm nodes run without)",
                     node.name, host.problem);
}

std::string slow_kvm(const Node& node, const vmm::HostProbe& host) {
  return fmt::format(
      "node '{}' is to run under KVM, and this host cannot run an operating system's kernel with it at a useful speed: "
      "KVM emulates supervisor mode here, {:.1f} million instructions a second were measured. Leave 'engine: kvm' out, "
      "and the node runs under QEMU, or use a host with VMX or SVM (a cloud machine with nested virtualization, bare "
      "metal)",
      node.name, host.supervisor_instructions_per_second / 1e6);
}

std::string no_qemu(const Node& node, const EngineChoice& choice) {
  const char* given = std::getenv("PATCHBAY_QEMU");
  return fmt::format("node '{}' runs under QEMU ({}), and {}. Install it: apt-get install {}", node.name, choice.reason,
                     given != nullptr ? fmt::format("PATCHBAY_QEMU names '{}', which is no program", given)
                                      : fmt::format("there is no {} in PATH", qemu::kProgram),
                     qemu::kPackage);
}

}  // namespace

EngineChoice engine_for(const Node& vm, const std::string& kvm_path) {
  // What the lab file says needs no measurement.
  return choose_engine(vm.engine,
                       vm.engine == VmEngine::automatic ? measured(kvm_path).kind : vmm::HostKind::none);
}

std::string missing_for(const Lab& lab, const std::string& kvm_path) {
  if (::geteuid() != 0) return "namespaces and TAP interfaces need root; run the command with sudo";
  for (const Node& node : lab.nodes) {
    if (node.kind != NodeKind::vm && node.kind != NodeKind::router) continue;
    if (node.kind == NodeKind::vm) {
      const EngineChoice choice = engine_for(node, kvm_path);
      if (choice.engine == VmEngine::qemu) {
        if (qemu::find_program().empty()) return no_qemu(node, choice);
        continue;
      }
    }
    const vmm::HostProbe& host = measured(kvm_path);
    if (host.kind == vmm::HostKind::none) return no_kvm(node, host);
    if (host.kind == vmm::HostKind::user_mode_only && node.kind == NodeKind::vm) return slow_kvm(node, host);
  }
  return {};
}

}  // namespace patchbay::tools
