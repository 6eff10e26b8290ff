#include "tools/lab/link_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tools/lab/netem_settings.h"
#include "tools/lab/quantity.h"
#include "tools/lab/suggest.h"

namespace patchbay::tools {
namespace {

constexpr std::array<std::string_view, 6> kLaterTypes{"host",  "mgmt-net",     "macvlan",
                                                      "vxlan", "vxlan-stitch", "dummy"};

Parsed<unsigned> parse_mtu(std::string_view text) {
  const Parsed<std::int64_t> number = parse_integer(text, kMinMtu, kMaxMtu);
  if (const auto* fault = std::get_if<Fault>(&number)) return *fault;
  return static_cast<unsigned>(std::get<std::int64_t>(number));
}

std::optional<VhostUserSettings> read_vhost_user(const YamlNode& node, Reader& reader) {
  if (!reader.map(node, "vhost-user", vhost_user_keys())) return std::nullopt;
  VhostUserSettings settings;
  settings.at = node.at;
  if (const YamlNode* mode = node.find("mode")) {
    const auto client = reader.value(*mode, "mode", [](std::string_view text) -> Parsed<bool> {
      if (text == "server") return false;
      if (text == "client") return true;
      return Fault{fmt::format("'{}' is neither server nor client", text),
                   "server: Patchbay makes the socket and the peer connects; client: the other way round"};
    });
    if (!client) return std::nullopt;
    settings.client = *client;
  }
  if (const YamlNode* socket = node.find("socket")) {
    auto path = reader.text(*socket, "socket");
    if (!path) return std::nullopt;
    if (path->empty()) {
      reader.error(*socket, "the socket has no path", "write one, such as /tmp/r1.sock");
      return std::nullopt;
    }
    settings.socket = Located<std::string>{std::move(*path), socket->at};
  } else if (settings.client) {
    reader.error(node, "a client needs the socket that it shall connect to",
                 "write {mode: client, socket: PATH}");
    return std::nullopt;
  }
  return settings;
}

NicSettings read_nic(const YamlNode& extension, Reader& reader) {
  NicSettings settings;
  if (const YamlNode* nic = extension.find("nic")) {
    const auto model = reader.value(*nic, "nic", [](std::string_view text) -> Parsed<NicModel> {
      for (const NicModel known : {NicModel::virtio_net, NicModel::e1000})
        if (text == to_string(known)) return known;
      return Fault{fmt::format("unknown card '{}'", text), suggestion(text, {"virtio-net", "e1000"})};
    });
    if (model) settings.model = Located<NicModel>{*model, nic->at};
  }
  if (const YamlNode* queues = extension.find("queues")) {
    if (const auto count = reader.integer(*queues, "queues", 1, kMaxNicQueues))
      settings.queues = static_cast<unsigned>(*count);
  }
  if (const YamlNode* vhost_user = extension.find("vhost-user"))
    settings.vhost_user = read_vhost_user(*vhost_user, reader);
  return settings;
}

class LinkReader {
 public:
  LinkReader(const YamlNode& node, Reader& reader) : node_(node), reader_(reader) {}

  std::optional<LinkSettings> read() {
    if (!reader_.map(node_, "a link")) return std::nullopt;
    const YamlNode* type = node_.find("type");
    if (type != nullptr && !is_veth(*type)) return std::nullopt;
    const bool brief = type == nullptr;
    reader_.map(node_, brief ? "a link" : "a link of type veth",
                brief ? brief_link_keys() : veth_link_keys());

    link_.at = node_.at;
    const YamlNode* endpoints = node_.find("endpoints");
    if (endpoints == nullptr) {
      reader_.error(node_, "the link has no endpoints", "write endpoints: [\"r1:eth0\", \"h1:eth1\"]");
      return std::nullopt;
    }
    if (!reader_.list(*endpoints, "endpoints")) return std::nullopt;
    if (endpoints->items.size() != 2) {
      reader_.error(*endpoints, fmt::format("the link has {} endpoints", endpoints->items.size()),
                    "a link joins exactly two; several nodes meet at a node of kind bridge");
      return std::nullopt;
    }
    for (std::size_t end = 0; end < 2; ++end) {
      if (!(brief ? read_brief_end(endpoints->items[end], end) : read_long_end(endpoints->items[end], end)))
        return std::nullopt;
    }
    if (brief) {
      read_brief_addresses("ipv4", IpFamily::v4);
      read_brief_addresses("ipv6", IpFamily::v6);
    }
    if (const YamlNode* mtu = node_.find("mtu")) {
      if (const auto value = reader_.value(*mtu, "mtu", parse_mtu))
        link_.mtu = Located<unsigned>{*value, mtu->at};
    }
    if (const YamlNode* labels = node_.find("labels")) link_.labels = reader_.text_map(*labels, "labels");
    read_extension();
    return std::move(link_);
  }

 private:
  bool is_veth(const YamlNode& node) {
    const auto type = reader_.text(node, "type");
    if (!type) return false;
    if (*type == "veth") return true;
    if (std::find(kLaterTypes.begin(), kLaterTypes.end(), *type) != kLaterTypes.end()) {
      reader_.error(node, fmt::format("links of type '{}' are not available in this version", *type),
                    "available is: veth");
    } else {
      reader_.error(
          node, fmt::format("unknown link type '{}'", *type),
          suggestion(*type, {"veth", "host", "mgmt-net", "macvlan", "vxlan", "vxlan-stitch", "dummy"}));
    }
    return false;
  }

  bool read_brief_end(const YamlNode& node, std::size_t end) {
    if (node.kind == YamlNode::Kind::map) {
      reader_.error(node, "an endpoint of a link without 'type' must be text",
                    "write \"node:interface\", or add type: veth to the link");
      return false;
    }
    const auto text = reader_.text(node, "an endpoint");
    if (!text) return false;
    const std::size_t colon = text->find(':');
    if (colon == std::string::npos || text->find(':', colon + 1) != std::string::npos) {
      reader_.error(node, fmt::format("'{}' is not an endpoint", *text),
                    "write node:interface, such as \"r1:eth0\"");
      return false;
    }
    EndpointSettings& settings = link_.ends.at(end);
    settings.node = {text->substr(0, colon), node.at};
    settings.interface = {text->substr(colon + 1), node.at};
    settings.marked_bytes = marked_bytes(node);
    return true;
  }

  bool read_long_end(const YamlNode& node, std::size_t end) {
    if (node.kind == YamlNode::Kind::scalar) {
      reader_.error(node, "an endpoint of a link of type veth must be a map",
                    "write {node: r1, interface: eth0}, or leave type out");
      return false;
    }
    if (!reader_.map(node, "an endpoint", endpoint_keys())) return false;
    EndpointSettings& settings = link_.ends.at(end);
    const auto required = [&](std::string_view key, Located<std::string>& field) {
      const YamlNode* value = node.find(key);
      if (value == nullptr) {
        reader_.error(node, fmt::format("the endpoint has no {}", key), "write {node: r1, interface: eth0}");
        return false;
      }
      auto text = reader_.text(*value, key);
      if (!text) return false;
      field = {std::move(*text), value->at};
      return true;
    };
    const bool has_node = required("node", settings.node);
    const bool has_interface = required("interface", settings.interface);
    if (!has_node || !has_interface) return false;
    settings.marked_bytes = std::max<std::size_t>(1, settings.node.value.size());
    if (const YamlNode* mac = node.find("mac")) {
      if (const auto value = reader_.value(*mac, "mac", parse_mac_address))
        settings.mac = Located<MacAddress>{*value, mac->at};
    }
    if (const YamlNode* ipv4 = node.find("ipv4")) read_address(*ipv4, IpFamily::v4, settings.ipv4);
    if (const YamlNode* ipv6 = node.find("ipv6")) read_address(*ipv6, IpFamily::v6, settings.ipv6);
    if (const YamlNode* vars = node.find("vars"); vars != nullptr && reader_.map(*vars, "vars")) {
      const YamlNode* patchbay = vars->find("patchbay");
      if (patchbay != nullptr && reader_.map(*patchbay, "patchbay of an endpoint", endpoint_extension_keys()))
        settings.nic = read_nic(*patchbay, reader_);
    }
    return true;
  }

  void read_address(const YamlNode& node, IpFamily family,
                    std::vector<Located<InterfaceAddress>>& addresses) {
    if (node.kind == YamlNode::Kind::null || (node.kind == YamlNode::Kind::scalar && node.text.empty()))
      return;
    const auto parse = [family](std::string_view text) { return parse_interface_address(text, family); };
    const auto address = reader_.value(node, family == IpFamily::v4 ? "ipv4" : "ipv6", parse);
    if (address) addresses.push_back({*address, node.at});
  }

  // One or two addresses, in the order of the endpoints; "" leaves one out.
  void read_brief_addresses(std::string_view key, IpFamily family) {
    const YamlNode* list = node_.find(key);
    if (list == nullptr || !reader_.list(*list, key)) return;
    if (list->items.empty() || list->items.size() > 2) {
      reader_.error(*list, fmt::format("{} has {} addresses", key, list->items.size()),
                    "write one for each endpoint, in their order; \"\" for none");
      return;
    }
    for (std::size_t end = 0; end < list->items.size(); ++end) {
      EndpointSettings& settings = link_.ends.at(end);
      read_address(list->items[end], family, family == IpFamily::v4 ? settings.ipv4 : settings.ipv6);
    }
  }

  void read_extension() {
    const YamlNode* vars = node_.find("vars");
    if (vars == nullptr || !reader_.map(*vars, "vars")) return;
    const YamlNode* patchbay = vars->find("patchbay");
    if (patchbay == nullptr || !reader_.map(*patchbay, "patchbay of a link", link_extension_keys())) return;
    link_.nic = read_nic(*patchbay, reader_);
    if (const YamlNode* lossless = patchbay->find("lossless"))
      link_.lossless = reader_.boolean(*lossless, "lossless").value_or(false);
    if (const YamlNode* netem = patchbay->find("netem")) link_.netem = read_netem(*netem, reader_);
    link_.checks = patchbay->find("checks");
  }

  const YamlNode& node_;
  Reader& reader_;
  LinkSettings link_;
};

}  // namespace

std::optional<LinkSettings> read_link_settings(const YamlNode& node, Reader& reader) {
  return LinkReader(node, reader).read();
}

}  // namespace patchbay::tools
