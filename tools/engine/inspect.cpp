// The answer to `inspect`: nodes with their state and addresses, segments with their counters, and whether
// those balance.
#include <string_view>

#include "tools/engine/engine.h"
#include "vswitch/balance.h"

namespace patchbay::tools {

using control::Json;

namespace {

Json drops(const vswitch::DropValues& values) {
  Json result = Json::object();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] != 0) result[std::string(to_string(static_cast<vswitch::DropReason>(i)))] = values[i];
  }
  return result;
}

Json describe(const vswitch::PortSnapshot& port) {
  return {{"name", port.name},
          {"link", port.link_up ? "up" : "down"},
          {"captured", port.tapped},
          {"in",
           {{"frames", port.in.frames},
            {"bytes", port.in.bytes},
            {"forwarded", port.in.forwarded},
            {"copies", port.in.copies},
            {"dropped", drops(port.in.dropped)}}},
          {"out",
           {{"offered", port.out.offered},
            {"delivered", port.out.delivered},
            {"bytes", port.out.bytes},
            {"dropped", drops(port.out.dropped)}}}};
}

}  // namespace

Json Engine::inspect() {
  Json nodes = Json::array();
  for (std::size_t i = 0; i < lab_.nodes.size(); ++i) {
    const Node& node = lab_.nodes[i];
    Json entry{{"lab_name", lab_.name},
               {"name", node.name},
               {"full_name", lab_.full_name(node)},
               {"kind", to_string(node.kind)},
               {"state", "running"}};
    if (nodes_[i]) entry.update(nodes_[i]->facts());
    Json interfaces = Json::array();
    for (std::size_t k = 0; k < node.interfaces.size(); ++k) {
      const Interface& interface = node.interfaces[k];
      Json addresses = Json::array();
      for (const auto& address : interface.ipv4)
        addresses.push_back(to_string(address));
      for (const auto& address : interface.ipv6)
        addresses.push_back(to_string(address));
      interfaces.push_back({{"name", interface.name},
                            {"mac", to_string(interface.mac)},
                            {"mtu", interface.mtu},
                            {"addresses", addresses}});
      if (nodes_[i]) interfaces.back().update(nodes_[i]->interface_facts(k));
    }
    entry["interfaces"] = std::move(interfaces);
    nodes.push_back(std::move(entry));
  }
  Json segments = Json::array();
  Json violations = Json::array();
  for (const vswitch::SegmentSnapshot& segment : switch_->snapshot()) {
    Json ports = Json::array();
    for (const auto& port : segment.ports)
      ports.push_back(describe(port));
    segments.push_back({{"name", segment.name}, {"kind", segment.kind}, {"ports", std::move(ports)}});
    for (const std::string& sentence : vswitch::imbalances(segment))
      violations.push_back(sentence);
  }
  return {{"lab_name", lab_.name},   {"file", lab_.file.string()}, {"bring_up_ms", bring_up_time_.count()},
          {"nodes", nodes},          {"segments", segments},       {"balanced", violations.empty()},
          {"imbalances", violations}};
}

}  // namespace patchbay::tools
