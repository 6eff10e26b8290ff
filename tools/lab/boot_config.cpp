#include "tools/lab/boot_config.h"

#include <fmt/format.h>

namespace patchbay::tools {

std::string router_boot_config(const Node& node) {
  std::string text;
  for (const Interface& interface : node.interfaces) {
    if (interface.ipv4.empty() && interface.ipv6.empty()) continue;
    text += fmt::format("interface {}\n", interface.name);
    for (const InterfaceAddress& address : interface.ipv4)
      text += fmt::format(" ip address {}\n", to_string(address));
    for (const InterfaceAddress& address : interface.ipv6)
      text += fmt::format(" ipv6 address {}\n", to_string(address));
    text += "exit\n";
  }
  if (node.startup_config) text += node.startup_config->text;
  return text;
}

}  // namespace patchbay::tools
