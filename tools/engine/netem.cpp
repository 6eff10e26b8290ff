// The answer to `netem`: impairments of link ends set, shown and taken away while the lab is up.
//   {"action": "set", "node": "h1", "interface": "eth1", "values": {"delay": "10ms", "loss": "1%"}}
//   {"action": "reset", "node": "h1", "interface": "eth1"}
//   {"action": "show", "node": "h1"}               without a node: all of them
#include <fmt/format.h>

#include "tools/engine/engine.h"
#include "tools/lab/netem_settings.h"

namespace patchbay::tools {

using control::Json;
using control::RequestError;

namespace {

Netem parse_values(const control::Request& request) {
  const Json values = request.args.value("values", Json::object());
  if (!values.is_object() || values.empty()) {
    throw RequestError("no impairment to set",
                       "delay, jitter, loss, reorder, duplicate, corrupt, rate; netem reset takes them away");
  }
  Netem netem;
  for (const auto& [key, value] : values.items()) {
    if (!value.is_string()) throw RequestError(fmt::format("'{}' must be text, such as 10ms", key));
    if (const auto fault = set_netem(netem, key, value.get<std::string>()))
      throw RequestError(key + ": " + fault->message, fault->hint);
  }
  if (const auto wrong = check_netem(netem))
    throw RequestError(fmt::format("{}: {}", wrong->key, wrong->fault.message), wrong->fault.hint);
  return netem;
}

Json describe(const LinkEnd& end, const Netem& netem, std::size_t held) {
  return {{"node", end.node},
          {"interface", end.interface},
          {"delay_us", netem.delay.count()},
          {"jitter_us", netem.jitter.count()},
          {"loss_percent", netem.loss_percent},
          {"reorder_percent", netem.reorder_percent},
          {"duplicate_percent", netem.duplicate_percent},
          {"corrupt_percent", netem.corrupt_percent},
          {"rate_bits", netem.rate_bits},
          {"held", held}};
}

}  // namespace

Endpoint Engine::sender_for(const control::Request& request) const {
  const std::string node_name = control::text_argument(request, "node");
  const std::string interface_name = control::text_argument(request, "interface");
  const Node* node = lab_.find_node(node_name);
  if (node == nullptr) throw no_link_end(node_name + ":" + interface_name);
  const Interface* interface = node->find_interface(interface_name);
  if (interface == nullptr) throw no_link_end(node_name + ":" + interface_name);
  if (node->kind == NodeKind::bridge) {
    throw RequestError(
        fmt::format("what leaves the bridge port {}:{} cannot be impaired", node_name, interface_name),
        fmt::format("impair what the nodes at '{}' send into it", node_name));
  }
  return {static_cast<std::size_t>(node - lab_.nodes.data()),
          static_cast<std::size_t>(interface - node->interfaces.data())};
}

void Engine::impair(const Endpoint& sender, const Netem& netem) {
  const Node& node = lab_.nodes[sender.node];
  impairments_.set(*switch_, {node.name, node.interfaces[sender.interface].name},
                   nodes_[sender.node]->port(sender.interface), netem);
}

void Engine::set_netem(const control::Request& request, const Exchange& exchange) {
  const std::string action = control::text_argument(request, "action");
  if (action == "show") {
    exchange->reply(show_netem(control::text_argument(request, "node", "")));
    return;
  }
  if (action != "set" && action != "reset")
    throw RequestError("unknown netem action '" + action + "'", "set, show, reset");
  const Endpoint sender = sender_for(request);
  const Netem netem = action == "set" ? parse_values(request) : Netem{};
  if (bench_)
    throw RequestError("a measurement is running, which uses the lab's links", "try again when it is done");
  impair(sender, netem);
  exchange->reply({{"netem", to_string(netem)}});
}

Json Engine::show_netem(const std::string& node_name) {
  if (!node_name.empty() && lab_.find_node(node_name) == nullptr) {
    throw RequestError(fmt::format("lab '{}' has no node '{}'", lab_.name, node_name),
                       "see the list: patchbay inspect --name " + lab_.name);
  }
  Json interfaces = Json::array();
  for (const Node& node : lab_.nodes) {
    if (node.kind == NodeKind::bridge || (!node_name.empty() && node.name != node_name)) continue;
    for (const Interface& interface : node.interfaces) {
      const LinkEnd end{node.name, interface.name};
      interfaces.push_back(
          describe(end, impairments_.at(end.name()), impairments_.held(*switch_, end.name())));
    }
  }
  return {{"interfaces", std::move(interfaces)}};
}

}  // namespace patchbay::tools
