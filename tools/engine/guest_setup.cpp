#include "tools/engine/guest_setup.h"

#include <fmt/format.h>

namespace patchbay::tools {

namespace {

// The interface with an address, among those that are devices: VLANs and bridges share theirs. A driver may
// still be on its way when the agent comes up.
constexpr std::string_view kFind = R"sh(set -e
find_nic() {
  for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    for nic in /sys/class/net/*; do
      if [ -e "$nic/device" ] && [ "$(cat "$nic/address")" = "$1" ]; then
        echo "${nic##*/}"
        return 0
      fi
    done
    sleep 0.5 2>/dev/null || sleep 1
  done
  echo "no network interface has the address $1: is its driver loaded?" >&2
  return 1
}
)sh";

}  // namespace

std::string guest_setup_script(const Node& node) {
  if (node.interfaces.empty()) return {};
  std::string script(kFind);
  // Two rounds, since a name may be in use by the interface that is to get another one.
  for (std::size_t i = 0; i < node.interfaces.size(); ++i) {
    const Interface& interface = node.interfaces[i];
    script += fmt::format(
        "nic{0}=$(find_nic {1})\n"
        "if [ \"$nic{0}\" != {2} ]; then ip link set dev \"$nic{0}\" down; ip link set dev \"$nic{0}\" name "
        "patchbay{0}; nic{0}=patchbay{0}; fi\n",
        i, to_string(interface.mac), interface.name);
  }
  for (std::size_t i = 0; i < node.interfaces.size(); ++i) {
    const Interface& interface = node.interfaces[i];
    script += fmt::format(
        "if [ \"$nic{0}\" != {1} ]; then ip link set dev \"$nic{0}\" name {1}; fi\n"
        "ip link set dev {1} mtu {2}\nip link set dev {1} up\n",
        i, interface.name, interface.mtu);
    for (const InterfaceAddress& address : interface.ipv4) {
      script += fmt::format("ip addr show dev {0} | grep -q ' {1} ' || ip addr add {1} dev {0}\n",
                            interface.name, to_string(address));
    }
    for (const InterfaceAddress& address : interface.ipv6) {
      script += fmt::format(
          "ip addr show dev {0} | grep -q ' {1} ' || ip addr add {1} dev {0} nodad 2>/dev/null || "
          "ip addr add {1} dev {0}\n",
          interface.name, to_string(address));
    }
  }
  return script;
}

}  // namespace patchbay::tools
