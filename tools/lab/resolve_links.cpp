#include "tools/lab/resolve_links.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "tools/lab/check_addresses.h"
#include "tools/lab/expand.h"
#include "tools/lab/names.h"
#include "tools/lab/suggest.h"

namespace patchbay::tools {
namespace {

constexpr std::size_t kMaxSocketPath = 107;  // sun_path with its final zero byte

class LinkResolver {
 public:
  LinkResolver(const std::vector<std::string>& known, Lab& lab, Diagnostics& diagnostics)
      : known_(known), lab_(lab), diagnostics_(diagnostics) {
    for (std::size_t i = 0; i < lab_.nodes.size(); ++i)
      node_index_[lab_.nodes[i].name] = i;
  }

  void add(const LinkSettings& settings) {
    const EndpointSettings& a = settings.ends[0];
    const EndpointSettings& z = settings.ends[1];
    const std::optional<std::size_t> node_a = find_node(a);
    const std::optional<std::size_t> node_z = find_node(z);
    const bool a_fits = interface_fits(a, node_a);  // each says what is wrong
    const bool z_fits = interface_fits(z, node_z);
    const bool names_fit = a_fits && z_fits;
    if (a.node.value == z.node.value) {
      diagnostics_.error(z.node.at, fmt::format("the link joins '{}' to itself", a.node.value),
                         "name two different nodes", z.marked_bytes);
      return;
    }
    if (!node_a || !node_z || !names_fit) return;
    if (lab_.nodes[*node_a].kind == NodeKind::bridge && lab_.nodes[*node_z].kind == NodeKind::bridge) {
      diagnostics_.error(z.node.at,
                         fmt::format("the link joins two bridges, '{}' and '{}'", a.node.value, z.node.value),
                         "make them one bridge, or put a router between them", z.marked_bytes);
      return;
    }

    Link link;
    link.at = settings.at;
    const bool at_ethdev =
        lab_.nodes[*node_a].kind == NodeKind::ethdev || lab_.nodes[*node_z].kind == NodeKind::ethdev;
    link.mtu = settings.mtu ? settings.mtu->value : at_ethdev ? kEthdevMtu : kDefaultMtu;
    if (at_ethdev && link.mtu > kMaxEthdevMtu) {
      diagnostics_.error(settings.mtu->at, fmt::format("the MTU {} is too large for a DPDK device", link.mtu),
                         fmt::format("write at most {}", kMaxEthdevMtu));
    }
    link.lossless = settings.lossless;
    if (settings.netem[0]) link.a_to_z = settings.netem[0]->value;
    if (settings.netem[1]) link.z_to_a = settings.netem[1]->value;
    for (const auto& [key, text] : settings.labels)
      link.labels[key] = expand_magic_words(text.value, lab_.name, {});
    check_mtu(settings);
    const std::size_t index = lab_.links.size();
    check_netem_senders(settings, *node_a, *node_z);
    check_nics(settings, *node_a, *node_z);
    check_vhost_user(settings, *node_a, *node_z);
    link.a = {*node_a, add_interface(*node_a, a, settings.nic, link, index)};
    link.z = {*node_z, add_interface(*node_z, z, settings.nic, link, index)};
    lab_.links.push_back(std::move(link));
    end_settings_.push_back({&settings.ends[0], &settings.ends[1]});
  }

  void finish() {
    derive_mac_addresses();
    check_addresses(lab_, placed_addresses(), diagnostics_);
    check_bridge_mtus();
    sort_interfaces();
  }

 private:
  std::optional<std::size_t> find_node(const EndpointSettings& end) {
    const auto found = node_index_.find(end.node.value);
    if (found != node_index_.end()) return found->second;
    // A node that is in the file but was refused has its own error already.
    if (std::find(known_.begin(), known_.end(), end.node.value) != known_.end()) return std::nullopt;
    if (is_reserved_node_name(end.node.value)) {
      diagnostics_.error(end.node.at,
                         fmt::format("links to '{}' are not available in this version", end.node.value),
                         "join two nodes of the lab", end.marked_bytes);
      return std::nullopt;
    }
    diagnostics_.error(end.node.at,
                       fmt::format("the link names a node '{}' that is not in 'nodes'", end.node.value),
                       suggestion(end.node.value, {known_.begin(), known_.end()}), end.marked_bytes);
    return std::nullopt;
  }

  bool interface_fits(const EndpointSettings& end, std::optional<std::size_t> node) {
    if (const auto fault = check_interface_name(end.interface.value)) {
      diagnostics_.error(end.interface.at, fault->message, fault->hint, end.marked_bytes);
      return false;
    }
    const auto [first, is_new] =
        first_use_.try_emplace({end.node.value, end.interface.value}, end.interface.at);
    if (!is_new) {
      diagnostics_.error(end.interface.at,
                         fmt::format("the interface {}:{} is used twice; the first use is on line {}",
                                     end.node.value, end.interface.value, first->second.line),
                         "give this link an interface of its own", end.marked_bytes);
      return false;
    }
    if (node && lab_.nodes[*node].kind == NodeKind::bridge) {
      const auto no_use = [&](Position at, std::string_view what) {
        diagnostics_.error(
            at,
            fmt::format("the port {}:{} of a bridge has no {}", end.node.value, end.interface.value, what),
            "give it to the node at the other end");
      };
      for (const auto& address : end.ipv4)
        no_use(address.at, "address");
      for (const auto& address : end.ipv6)
        no_use(address.at, "address");
      if (end.mac) no_use(end.mac->at, "MAC address");
    }
    return true;
  }

  void check_mtu(const LinkSettings& settings) {
    constexpr unsigned kMinIpv6Mtu = 1280;  // RFC 8200 5
    if (!settings.mtu || settings.mtu->value >= kMinIpv6Mtu) return;
    if (settings.ends[0].ipv6.empty() && settings.ends[1].ipv6.empty()) return;
    diagnostics_.error(
        settings.mtu->at,
        fmt::format("the MTU {} is too small for the link's IPv6 addresses", settings.mtu->value),
        fmt::format("IPv6 needs at least {}", kMinIpv6Mtu));
  }

  /// A bridge hands on what others send: there is no queue of its own that could be impaired.
  void check_netem_senders(const LinkSettings& settings, std::size_t node_a, std::size_t node_z) {
    const std::array<std::size_t, 2> nodes{node_a, node_z};
    for (std::size_t end = 0; end < 2; ++end) {
      const auto& netem = settings.netem[end];
      if (!netem || netem->value == Netem{} || lab_.nodes[nodes[end]].kind != NodeKind::bridge) continue;
      const EndpointSettings& sender = settings.ends[end];
      diagnostics_.error(netem->at,
                         fmt::format("what leaves the bridge port {}:{} cannot be impaired",
                                     sender.node.value, sender.interface.value),
                         fmt::format("impair what the nodes at '{}' send into it", sender.node.value));
    }
  }

  /// Guests that bring their own drivers can be given any card; the others get the one they know.
  static bool takes_any_nic(NodeKind kind) { return kind == NodeKind::vm; }

  void check_vhost_user(const LinkSettings& settings, std::size_t node_a, std::size_t node_z) {
    const std::array<NodeKind, 2> kinds{lab_.nodes[node_a].kind, lab_.nodes[node_z].kind};
    const auto no_use = [&](const NicSettings& nic, const std::string& where) {
      if (!nic.vhost_user) return;
      diagnostics_.error(nic.vhost_user->at, fmt::format("{} has no vhost-user socket", where),
                         "only nodes of kind external have one; leave it out");
    };
    for (std::size_t end = 0; end < 2; ++end) {
      if (kinds[end] != NodeKind::external)
        no_use(settings.ends[end].nic, fmt::format("a node of kind {}", to_string(kinds[end])));
    }
    if (kinds[0] != NodeKind::external && kinds[1] != NodeKind::external)
      no_use(settings.nic, fmt::format("a link between {} and {}", to_string(kinds[0]), to_string(kinds[1])));
  }

  VhostUser resolve_vhost_user(const VhostUserSettings& settings, const std::string& node) {
    VhostUser result;
    result.client = settings.client;
    if (!settings.socket) return result;
    const std::string text = expand_magic_words(settings.socket->value, lab_.name, node);
    result.socket = (std::filesystem::absolute(lab_.file).parent_path() / text).lexically_normal();
    const std::string path = result.socket.string();
    if (path.size() > kMaxSocketPath) {
      diagnostics_.error(
          settings.socket->at, fmt::format("the path of the socket, {}, has {} bytes", path, path.size()),
          fmt::format("a socket's path has at most {}: choose a shorter one", kMaxSocketPath), text.size());
    }
    const auto [first, is_new] = sockets_.try_emplace(path, settings.socket->at);
    if (!is_new) {
      diagnostics_.error(
          settings.socket->at,
          fmt::format("the socket {} is used twice; the first use is on line {}", path, first->second.line),
          "every interface of an external node needs one of its own", text.size());
    }
    return result;
  }

  void check_nics(const LinkSettings& settings, std::size_t node_a, std::size_t node_z) {
    const std::array<NodeKind, 2> kinds{lab_.nodes[node_a].kind, lab_.nodes[node_z].kind};
    const auto no_use = [&](const NicSettings& nic, const std::string& where) {
      if (!nic.model || nic.model->value == NicModel::virtio_net) return;
      diagnostics_.error(nic.model->at,
                         fmt::format("{} cannot have the card '{}'", where, to_string(nic.model->value)),
                         "only nodes of kind vm have it; write virtio-net, or leave it out");
    };
    for (std::size_t end = 0; end < 2; ++end) {
      if (!takes_any_nic(kinds[end]))
        no_use(settings.ends[end].nic, fmt::format("a node of kind {}", to_string(kinds[end])));
    }
    if (!takes_any_nic(kinds[0]) && !takes_any_nic(kinds[1]))
      no_use(settings.nic, fmt::format("a link between {} and {}", to_string(kinds[0]), to_string(kinds[1])));
  }

  std::size_t add_interface(std::size_t node, const EndpointSettings& end, const NicSettings& link_nic,
                            const Link& link, std::size_t link_index) {
    Interface interface;
    interface.name = end.interface.value;
    interface.at = end.interface.at;
    interface.mtu = link.mtu;
    interface.link = link_index;
    if (end.nic.model) {
      interface.nic = end.nic.model->value;
    } else if (link_nic.model && takes_any_nic(lab_.nodes[node].kind)) {
      interface.nic = link_nic.model->value;
    }
    interface.queues = end.nic.queues.value_or(link_nic.queues.value_or(1));
    if (lab_.nodes[node].kind == NodeKind::external) {
      const auto& vhost_user = end.nic.vhost_user ? end.nic.vhost_user : link_nic.vhost_user;
      if (vhost_user) interface.vhost_user = resolve_vhost_user(*vhost_user, end.node.value);
    }
    for (const auto& address : end.ipv4)
      interface.ipv4.push_back(address.value);
    for (const auto& address : end.ipv6)
      interface.ipv6.push_back(address.value);
    if (end.mac) {
      interface.mac = end.mac->value;
      const auto [first, is_new] = macs_.try_emplace(interface.mac, end.mac->at);
      if (!is_new) {
        diagnostics_.error(end.mac->at,
                           fmt::format("the MAC address {} is used twice; the first use is on line {}",
                                       to_string(interface.mac), first->second.line),
                           "give each interface its own, or none to have one made");
      }
    }
    if (lab_.nodes[node].kind == NodeKind::ethdev && !lab_.nodes[node].interfaces.empty()) {
      diagnostics_.error(end.interface.at, fmt::format("the ethdev '{}' has a second link", end.node.value),
                         "a device has one: put a bridge between, or add a node for another device",
                         end.interface.value.size());
    }
    lab_.nodes[node].interfaces.push_back(std::move(interface));
    return lab_.nodes[node].interfaces.size() - 1;
  }

  void derive_mac_addresses() {
    for (Node& node : lab_.nodes) {
      for (Interface& interface : node.interfaces) {
        for (unsigned attempt = 0; interface.mac == MacAddress{}; ++attempt) {
          const MacAddress candidate = derived_mac_address(lab_.name, node.name, interface.name, attempt);
          if (macs_.try_emplace(candidate, interface.at).second) interface.mac = candidate;
        }
      }
    }
  }

  std::vector<PlacedAddress> placed_addresses() const {
    std::vector<PlacedAddress> placed;
    for (std::size_t i = 0; i < lab_.links.size(); ++i) {
      const std::array<Endpoint, 2> ends{lab_.links[i].a, lab_.links[i].z};
      for (std::size_t end = 0; end < 2; ++end) {
        for (const auto* addresses : {&end_settings_[i][end]->ipv4, &end_settings_[i][end]->ipv6}) {
          for (const auto& address : *addresses)
            placed.push_back({address.value, address.at, ends[end].node, ends[end].interface});
        }
      }
    }
    return placed;
  }

  void check_bridge_mtus() {
    for (const Node& node : lab_.nodes) {
      if (node.kind != NodeKind::bridge || node.interfaces.empty()) continue;
      const Interface& first = node.interfaces.front();
      for (const Interface& port : node.interfaces) {
        if (port.mtu == first.mtu) continue;
        diagnostics_.warning(
            port.at,
            fmt::format("the links at bridge '{}' have MTUs {} and {}", node.name, first.mtu, port.mtu),
            "a bridge drops frames too long for the link they leave on: give all the same mtu");
        break;
      }
    }
  }

  void sort_interfaces() {
    for (std::size_t n = 0; n < lab_.nodes.size(); ++n) {
      std::vector<Interface>& interfaces = lab_.nodes[n].interfaces;
      std::sort(interfaces.begin(), interfaces.end(),
                [](const Interface& a, const Interface& b) { return natural_less(a.name, b.name); });
      for (std::size_t i = 0; i < interfaces.size(); ++i) {
        Link& link = lab_.links[interfaces[i].link];
        (link.a.node == n ? link.a : link.z).interface = i;
      }
    }
  }

  const std::vector<std::string>& known_;
  Lab& lab_;
  Diagnostics& diagnostics_;
  std::unordered_map<std::string, std::size_t> node_index_;
  std::map<std::pair<std::string, std::string>, Position> first_use_;
  std::map<MacAddress, Position> macs_;
  std::map<std::string, Position> sockets_;
  std::vector<std::array<const EndpointSettings*, 2>> end_settings_;  // parallel to Lab::links
};

}  // namespace

void resolve_links(const std::vector<LinkSettings>& settings, const std::vector<std::string>& known, Lab& lab,
                   Diagnostics& diagnostics) {
  LinkResolver resolver(known, lab, diagnostics);
  for (const LinkSettings& link : settings)
    resolver.add(link);
  resolver.finish();
}

}  // namespace patchbay::tools
