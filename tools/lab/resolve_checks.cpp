#include "tools/lab/resolve_checks.h"

#include <fmt/format.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/lab/quantity.h"
#include "tools/lab/suggest.h"

namespace patchbay::tools {
namespace {

constexpr std::int64_t kMaxCount = 1000000;
constexpr std::int64_t kMaxPayload = 65507;  // what fits into an IPv4 packet behind its ICMP header
constexpr std::int64_t kMaxHops = 254;
constexpr std::array<std::string_view, 3> kActions{"ping", "traceroute", "exec"};

class CheckReader {
 public:
  CheckReader(std::optional<std::size_t> here, Reader& reader, Lab& lab)
      : here_(here), reader_(reader), lab_(lab) {}

  void read(const YamlNode& node) {
    if (!reader_.map(node, "a check", check_keys())) return;
    const YamlNode* action = nullptr;
    std::string_view kind;
    for (const std::string_view candidate : kActions) {
      const YamlNode* found = node.find(candidate);
      if (found == nullptr) continue;
      if (action != nullptr) {
        reader_.error(*found, fmt::format("the check has both '{}' and '{}'", kind, candidate),
                      "make them two items of the list");
        return;
      }
      action = found;
      kind = candidate;
    }
    if (action == nullptr) {
      reader_.error(node, "the check does nothing",
                    "write one of ping, traceroute, exec, such as ping: {from: h1, to: 10.0.2.2}");
      return;
    }
    Check check;
    check.at = node.at;
    const bool complete = kind == "ping"         ? read_ping(*action, check)
                          : kind == "traceroute" ? read_traceroute(*action, check)
                                                 : read_exec(*action, check);
    if (const YamlNode* name = node.find("name"))
      check.name = reader_.text(*name, "name").value_or(check.name);
    if (const YamlNode* within = node.find("within"))
      check.within = reader_.value(*within, "within", parse_seconds).value_or(check.within);
    if (complete) lab_.checks.push_back(std::move(check));
  }

 private:
  static bool has_programs(const Node& node) {
    return node.kind == NodeKind::linux || node.kind == NodeKind::vm;
  }

  // Index of a node that commands can run in.
  std::optional<std::size_t> read_node(const YamlNode& check, std::string_view key) {
    const YamlNode* value = check.find(key);
    if (value == nullptr) {
      if (here_) return runs_commands(check, *here_);
      reader_.error(check, fmt::format("the check does not say which node it runs in"),
                    fmt::format("write {}: with the name of a linux or vm node", key));
      return std::nullopt;
    }
    const auto name = reader_.text(*value, key);
    if (!name) return std::nullopt;
    for (std::size_t i = 0; i < lab_.nodes.size(); ++i) {
      if (lab_.nodes[i].name == *name) return runs_commands(*value, i);
    }
    std::vector<std::string_view> names;
    for (const Node& node : lab_.nodes) {
      if (has_programs(node)) names.push_back(node.name);
    }
    reader_.error(*value, fmt::format("the check names a node '{}' that is not in 'nodes'", *name),
                  suggestion(*name, names));
    return std::nullopt;
  }

  std::optional<std::size_t> runs_commands(const YamlNode& at, std::size_t index) {
    const Node& node = lab_.nodes[index];
    if (has_programs(node)) return index;
    reader_.error(
        at, fmt::format("the check cannot run in '{}', a node of kind '{}'", node.name, to_string(node.kind)),
        "name a linux or vm node");
    return std::nullopt;
  }

  // An address, "node" (its first address in the file) or "node:interface".
  std::optional<IpAddress> read_destination(const YamlNode& value, std::string_view key) {
    return reader_.value(value, key, [this](std::string_view text) -> Parsed<IpAddress> {
      Parsed<IpAddress> address = parse_ip_address(text);
      if (std::holds_alternative<IpAddress>(address)) return address;
      const std::size_t colon = text.find(':');
      const Node* node = lab_.find_node(text.substr(0, colon));
      if (node == nullptr) {
        return Fault{fmt::format("'{}' is neither an IP address nor a node", text),
                     "write one such as 10.0.2.2, h2 or h2:eth1"};
      }
      for (const Interface& interface : node->interfaces) {
        if (colon != std::string_view::npos && interface.name != text.substr(colon + 1)) continue;
        if (!interface.ipv4.empty()) return interface.ipv4.front().address;
        if (!interface.ipv6.empty()) return interface.ipv6.front().address;
      }
      return Fault{fmt::format("no link gives '{}' an address", text), "write the address itself"};
    });
  }

  std::optional<IpAddress> read_to(const YamlNode& node) {
    const YamlNode* to = node.find("to");
    if (to != nullptr) return read_destination(*to, "to");
    reader_.error(node, "the check has no destination", "write to: with an address or a node");
    return std::nullopt;
  }

  void integer(const YamlNode& node, std::string_view key, std::int64_t low, std::int64_t high,
               unsigned& field) {
    if (const YamlNode* value = node.find(key))
      field = static_cast<unsigned>(reader_.integer(*value, key, low, high).value_or(field));
  }

  bool read_ping(const YamlNode& node, Check& check) {
    if (!reader_.map(node, "ping", ping_keys())) return false;
    PingCheck ping;
    const auto from = read_node(node, "from");
    const auto to = read_to(node);
    integer(node, "count", 1, kMaxCount, ping.count);
    integer(node, "size", 0, kMaxPayload, ping.payload_bytes);
    if (const YamlNode* flag = node.find("dont-fragment"))
      ping.dont_fragment = reader_.boolean(*flag, "dont-fragment").value_or(false);
    if (const YamlNode* interval = node.find("interval"))
      ping.interval = reader_.value(*interval, "interval", parse_seconds).value_or(ping.interval);
    if (const YamlNode* loss = node.find("loss"))
      ping.max_loss_percent = reader_.value(*loss, "loss", parse_percentage).value_or(0.0);
    if (!from || !to) return false;
    ping.from = *from;
    ping.to = *to;
    check.name = fmt::format("ping {} -> {}", lab_.nodes[*from].name, to_string(*to));
    check.action = ping;
    return true;
  }

  bool read_traceroute(const YamlNode& node, Check& check) {
    if (!reader_.map(node, "traceroute", traceroute_keys())) return false;
    TracerouteCheck trace;
    const auto from = read_node(node, "from");
    const auto to = read_to(node);
    if (node.find("hops") != nullptr) {
      unsigned hops = 0;
      integer(node, "hops", 1, kMaxHops, hops);
      trace.hops = hops;
    }
    if (const YamlNode* via = node.find("via"); via != nullptr && reader_.list(*via, "via")) {
      for (const YamlNode& router : via->items) {
        if (const auto address = read_destination(router, "via")) trace.via.push_back(*address);
      }
    }
    if (!from || !to) return false;
    trace.from = *from;
    trace.to = *to;
    check.name = fmt::format("traceroute {} -> {}", lab_.nodes[*from].name, to_string(*to));
    check.action = std::move(trace);
    return true;
  }

  bool read_exec(const YamlNode& node, Check& check) {
    if (!reader_.map(node, "exec", exec_keys())) return false;
    ExecCheck exec;
    const auto in = read_node(node, "node");
    const YamlNode* command = node.find("cmd");
    if (command == nullptr) {
      reader_.error(node, "the check has no command", "write cmd: with a shell command");
      return false;
    }
    const auto text = reader_.text(*command, "cmd");
    if (const YamlNode* status = node.find("exit-status"))
      exec.exit_status = static_cast<int>(reader_.integer(*status, "exit-status", 0, 255).value_or(0));
    read_texts(node, "stdout-contains", exec.stdout_contains);
    read_texts(node, "stdout-excludes", exec.stdout_excludes);
    if (!in || !text) return false;
    exec.node = *in;
    exec.command = expand_magic_words(*text, lab_.name, lab_.nodes[*in].name);
    check.name = fmt::format("exec {}: {}", lab_.nodes[*in].name, exec.command);
    check.action = std::move(exec);
    return true;
  }

  // Text or a list of texts.
  void read_texts(const YamlNode& node, std::string_view key, std::vector<std::string>& texts) {
    const YamlNode* value = node.find(key);
    if (value == nullptr) return;
    if (value->kind == YamlNode::Kind::scalar) {
      if (auto text = reader_.text(*value, key)) texts.push_back(std::move(*text));
      return;
    }
    for (Located<std::string>& text : reader_.text_list(*value, key))
      texts.push_back(std::move(text.value));
  }

  std::optional<std::size_t> here_;
  Reader& reader_;
  Lab& lab_;
};

}  // namespace

void resolve_checks(const YamlNode& node, std::optional<std::size_t> here, Reader& reader, Lab& lab) {
  if (!reader.list(node, "checks")) return;
  CheckReader checks(here, reader, lab);
  for (const YamlNode& item : node.items)
    checks.read(item);
}

}  // namespace patchbay::tools
