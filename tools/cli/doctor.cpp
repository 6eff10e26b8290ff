#include <fmt/format.h>
#include <unistd.h>

#include <thread>

#include "tools/cli/verbs.h"
#include "tools/engine/qemu/program.h"
#include "vmm/host_probe.h"
#include "vswitch/eal.h"

namespace patchbay::tools::cli {

namespace {

void line(bool good, const std::string& item, const std::string& found) {
  fmt::print("{}  {:<18} {}\n", good ? "ok  " : "miss", item, found);
}

}  // namespace

void add_doctor(CLI::App& program, int& status) {
  auto* verb =
      program.add_subcommand("doctor", "measure what this host can run, and say how to fix what is missing");
  verb->callback([&status] {
    const bool root = ::geteuid() == 0;
    line(root, "privileges",
         root ? "root" : "not root: run with sudo (namespaces and TAP interfaces need it)");
    const bool tun = ::access("/dev/net/tun", R_OK | W_OK) == 0;
    line(tun, "TAP interfaces",
         tun ? "/dev/net/tun" : "/dev/net/tun is not usable: modprobe tun, or run with sudo");
    const vmm::HostProbe probe = vmm::probe_host();
    switch (probe.kind) {
      case vmm::HostKind::full:
        line(true, "KVM", "hardware virtualization");
        break;
      case vmm::HostKind::user_mode_only:
        line(true, "KVM",
             fmt::format("guest user mode only ({:.1f} M supervisor instructions/s): router VMs run at full "
                         "speed, an operating system's kernel does under QEMU's emulation",
                         probe.supervisor_instructions_per_second / 1e6));
        break;
      case vmm::HostKind::none:
        line(false, "KVM", probe.problem);
        break;
    }
    const std::filesystem::path qemu = qemu::find_program();
    line(!qemu.empty() || probe.kind == vmm::HostKind::full, "QEMU",
         !qemu.empty() ? qemu.string()
                       : fmt::format("not installed{}: apt-get install {}",
                                     probe.kind == vmm::HostKind::full ? "" : ", and vm nodes need it here",
                                     qemu::kPackage));
    const vswitch::EalMemory memory = vswitch::choose_eal_memory();
    line(true, "switch memory", memory.explanation);
    line(true, "CPUs", std::to_string(std::thread::hardware_concurrency()));
    fmt::print("\nnode kinds: linux {}, bridge {}, router {}, vm {}\n", root && tun ? "yes" : "no",
               root && tun ? "yes" : "no", root && tun && probe.kind != vmm::HostKind::none ? "yes" : "no",
               !root || !tun                             ? "no"
               : probe.kind == vmm::HostKind::full ? "yes"
               : !qemu.empty()                     ? "yes (under QEMU, slowly)"
                                                   : "no");
    status = root && tun ? 0 : 1;
  });
}

}  // namespace patchbay::tools::cli
