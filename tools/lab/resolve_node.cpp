#include "tools/lab/resolve_node.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "tools/lab/startup_config.h"
#include "tools/lab/suggest.h"
#include "tools/lab/vm_boot.h"

namespace patchbay::tools {
namespace {

constexpr std::array<std::string_view, 6> kAvailableKinds{"router",   "vm",     "linux",
                                                          "external", "ethdev", "bridge"};
constexpr std::array<std::string_view, 1> kLaterKinds{"frr"};
constexpr std::uint64_t kMinVmMemory = std::uint64_t{32} << 20U;

class NodeResolver {
 public:
  NodeResolver(const Located<std::string>& name, const NodeSettings& settings, const Lab& lab,
               const Surroundings& surroundings, Diagnostics& diagnostics)
      : name_(name), settings_(settings), lab_(lab), surroundings_(surroundings), diagnostics_(diagnostics) {}

  Node resolve(NodeKind kind) {
    Node node;
    node.name = name_.value;
    node.at = name_.at;
    node.kind = kind;
    if (settings_.type) node.type = expanded(*settings_.type);
    if (settings_.group) node.group = settings_.group->value;
    node.labels = expanded(settings_.labels);
    if (settings_.cpu) node.cpu = settings_.cpu->value;
    if (settings_.memory_bytes) node.memory_bytes = settings_.memory_bytes->value;
    if (kind == NodeKind::router && settings_.startup_config) {
      const Located<std::string> setting{expanded(*settings_.startup_config), settings_.startup_config->at};
      node.startup_config = read_startup_config(setting, lab_.file, surroundings_, diagnostics_);
    }
    if (kind == NodeKind::vm) {
      if (settings_.engine) node.engine = settings_.engine->value;
      node.boot = resolve_vm_boot(name_, expanded_settings(), lab_.file, surroundings_, diagnostics_);
      if (node.memory_bytes && *node.memory_bytes < kMinVmMemory)
        diagnostics_.error(settings_.memory_bytes->at, "too little memory for an operating system",
                           "give a vm at least 32MiB");
    }
    if (kind == NodeKind::ethdev) add_devargs(node);
    if (kind == NodeKind::linux) add_binds(node);
    if (kind == NodeKind::linux || kind == NodeKind::vm) {
      for (const Located<std::string>& command : settings_.exec)
        node.exec.push_back(expanded(command));
      node.env = expanded(settings_.env);
      if (settings_.healthcheck) {
        node.healthcheck = settings_.healthcheck->value;
        for (std::string& word : node.healthcheck->command)
          word = expand_magic_words(word, lab_.name, node.name);
      }
    }
    return node;
  }

 private:
  std::string expanded(const Located<std::string>& text) const {
    return expand_magic_words(text.value, lab_.name, name_.value);
  }

  /// The settings that name files of a vm.
  NodeSettings expanded_settings() const {
    NodeSettings settings = settings_;
    for (auto* text : {&settings.image, &settings.cmd, &settings.kernel, &settings.initrd}) {
      if (*text) (*text)->value = expanded(**text);
    }
    for (Located<std::string>& bind : settings.binds)
      bind.value = expanded(bind);
    return settings;
  }

  std::map<std::string, std::string> expanded(
      const std::map<std::string, Located<std::string>>& texts) const {
    std::map<std::string, std::string> result;
    for (const auto& [key, text] : texts)
      result[key] = expanded(text);
    return result;
  }

  /// DPDK's device, whose name is what stands before the first comma.
  void add_devargs(Node& node) {
    constexpr std::string_view kExample = "write a driver of DPDK and its arguments, such as net_af_packet0,iface=eth1";
    if (!settings_.devargs) {
      diagnostics_.error(name_.at, fmt::format("the ethdev '{}' has no devargs", name_.value),
                         fmt::format("add config: {{vars: {{patchbay: {{devargs: ...}}}}}}; {}", kExample),
                         name_.value.size());
      return;
    }
    node.devargs = expanded(*settings_.devargs);
    const auto fault = [&](const std::string& what, const std::string& way_out) {
      diagnostics_.error(settings_.devargs->at, what, way_out, std::max<std::size_t>(1, node.devargs.size()));
    };
    if (!node.devargs.starts_with("net_"))
      fault(fmt::format("'{}' names no virtual Ethernet device of DPDK", node.devargs), std::string(kExample));
    const auto device_of = [](const Node& other) { return other.devargs.substr(0, other.devargs.find(',')); };
    for (const Node& other : lab_.nodes) {
      if (other.kind == NodeKind::ethdev && device_of(other) == device_of(node)) {
        fault(fmt::format("the device '{}' is that of node '{}' already", device_of(node), other.name),
              "give each a name of its own: append a number to the driver's");
      }
    }
  }

  // "source:target" or "source:target:ro", as containers have them.
  void add_binds(Node& node) {
    for (const Located<std::string>& setting : settings_.binds) {
      const std::string text = expanded(setting);
      std::vector<std::string> parts;
      for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find(':', begin), text.size());
        parts.push_back(text.substr(begin, end - begin));
        begin = end + 1;
      }
      const bool has_mode = parts.size() == 3 && (parts[2] == "ro" || parts[2] == "rw");
      const bool well_formed = (parts.size() == 2 || has_mode) && !parts[0].empty() && !parts[1].empty() &&
                               parts[1].front() == '/';
      if (!well_formed) {
        diagnostics_.error(setting.at, fmt::format("'{}' is not a bind", text),
                           "write source:/target or source:/target:ro", text.size());
        continue;
      }
      const std::filesystem::path source =
          (std::filesystem::absolute(lab_.file).parent_path() / parts[0]).lexically_normal();
      node.binds.push_back({source, parts[1], has_mode && parts[2] == "ro"});
    }
  }

  const Located<std::string>& name_;
  const NodeSettings& settings_;
  const Lab& lab_;
  const Surroundings& surroundings_;
  Diagnostics& diagnostics_;
};

}  // namespace

Parsed<NodeKind> parse_kind(std::string_view name) {
  if (name == "router") return NodeKind::router;
  if (name == "vm") return NodeKind::vm;
  if (name == "linux") return NodeKind::linux;
  if (name == "external") return NodeKind::external;
  if (name == "ethdev") return NodeKind::ethdev;
  if (name == "bridge") return NodeKind::bridge;
  if (std::find(kLaterKinds.begin(), kLaterKinds.end(), name) != kLaterKinds.end()) {
    return Fault{fmt::format("nodes of kind '{}' are not available in this version", name),
                 "available are: router, vm, linux, external, ethdev, bridge"};
  }
  return Fault{fmt::format("unknown kind '{}'", name),
               suggestion(name, {kAvailableKinds.begin(), kAvailableKinds.end()})};
}

void check_kind_settings(NodeKind kind, const NodeSettings& settings, Diagnostics& diagnostics) {
  const auto has_no_effect = [&](const std::string& key, Position at, const std::string& why) {
    diagnostics.note_once(fmt::format("{}/{}", to_string(kind), key), at,
                          fmt::format("'{}' has no effect on a node of kind '{}'", key, to_string(kind)),
                          why);
  };
  if (kind == NodeKind::vm) return;  // it can do all of it, or says what is wrong with it
  for (const auto& [key, setting] :
       {std::pair("kernel", &settings.kernel), std::pair("initrd", &settings.initrd)}) {
    if (*setting) has_no_effect(key, (*setting)->at, "only a vm boots one");
  }
  if (settings.boot_timeout) has_no_effect("boot-timeout", settings.boot_timeout->at, "only a vm takes time");
  if (settings.engine) has_no_effect("engine", settings.engine->at, "only a vm has a choice");
  if (settings.cmd) has_no_effect("cmd", settings.cmd->at, "it is the kernel command line of a vm");
  if (settings.devargs && kind != NodeKind::ethdev)
    has_no_effect("devargs", settings.devargs->at, "only an ethdev is a DPDK device");
  if (settings.image) {
    has_no_effect("image", settings.image->at,
                  kind == NodeKind::linux      ? "it sees the host's programs"
                  : kind == NodeKind::external ? "you start it yourself"
                  : kind == NodeKind::ethdev   ? "devargs say what it is"
                                               : "it is built in");
  }
  if (kind == NodeKind::linux) {
    if (settings.startup_config)
      has_no_effect("startup-config", settings.startup_config->at, "configure it with exec");
    if (settings.cpu) has_no_effect("cpu", settings.cpu->at, "it shares the host's processors");
    if (settings.memory_bytes)
      has_no_effect("memory", settings.memory_bytes->at, "it shares the host's memory");
    return;
  }

  // Commands that would never run are no trifle: the author relies on them.
  const std::string way_out = kind == NodeKind::router
                                  ? "configure it with startup-config and check it from a linux node"
                                  : "run the command in a linux node";
  const auto cannot_run = [&](const char* key, Position at) {
    diagnostics.error(
        at, fmt::format("a node of kind '{}' runs no commands, so '{}' is impossible", to_string(kind), key),
        way_out);
  };
  if (!settings.exec.empty()) cannot_run("exec", settings.exec.front().at);
  if (settings.healthcheck) cannot_run("healthcheck", settings.healthcheck->at);
  if (!settings.binds.empty()) has_no_effect("binds", settings.binds.front().at, "it has no file system");
  if (!settings.env.empty()) has_no_effect("env", settings.env.begin()->second.at, "it runs no commands");
  if (kind == NodeKind::router) {
    if (settings.cpu && settings.cpu->value > 1)
      has_no_effect("cpu", settings.cpu->at, "the router uses one vCPU");
    return;
  }
  const bool external = kind == NodeKind::external;
  const std::string made_of = external ? "you start it yourself" : "it is part of the switch";
  if (settings.startup_config)
    has_no_effect("startup-config", settings.startup_config->at,
                  external ? made_of : "it has no configuration");
  if (settings.cpu) has_no_effect("cpu", settings.cpu->at, made_of);
  if (settings.memory_bytes) has_no_effect("memory", settings.memory_bytes->at, made_of);
}

std::optional<Node> resolve_node(const Located<std::string>& name, NodeSettings settings,
                                 const Levels& levels, const Lab& lab, const Surroundings& surroundings,
                                 Diagnostics& diagnostics) {
  const NodeSettings own = settings;
  if (!settings.group) settings.group = levels.defaults.group;
  if (settings.group) {
    const auto group = levels.groups.find(settings.group->value);
    if (group != levels.groups.end()) inherit(settings, group->second);
  }
  if (!settings.kind) settings.kind = levels.defaults.kind;
  if (!settings.kind) {
    diagnostics.error(name.at, fmt::format("node '{}' has no kind", name.value),
                      "write kind: router, vm, linux, external, ethdev or bridge", name.value.size());
    return std::nullopt;
  }
  const Parsed<NodeKind> kind = parse_kind(settings.kind->value);
  if (const auto* fault = std::get_if<Fault>(&kind)) {
    diagnostics.error(settings.kind->at, fault->message, fault->hint, settings.kind->value.size());
    return std::nullopt;
  }
  const auto of_kind = levels.kinds.find(settings.kind->value);
  if (of_kind != levels.kinds.end()) inherit(settings, of_kind->second);
  inherit(settings, levels.defaults);

  check_kind_settings(std::get<NodeKind>(kind), own, diagnostics);
  return NodeResolver(name, settings, lab, surroundings, diagnostics).resolve(std::get<NodeKind>(kind));
}

}  // namespace patchbay::tools
