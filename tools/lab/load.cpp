#include "tools/lab/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "tools/lab/names.h"
#include "tools/lab/reader.h"
#include "tools/lab/resolve_checks.h"
#include "tools/lab/resolve_links.h"
#include "tools/lab/resolve_node.h"
#include "tools/lab/startup_config.h"
#include "tools/lab/yaml_tree.h"

namespace patchbay::tools {
namespace {

constexpr std::size_t kMaxDevices = 31;   // device numbers of a PCI bus beside its host bridge
constexpr std::size_t kVmOwnDevices = 2;  // entropy and the agent's serial port

std::optional<std::string> environment_variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

std::string read_text_file(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) throw std::system_error(EISDIR, std::generic_category());
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw std::system_error(errno, std::generic_category());
  // One byte more than is allowed tells a file that is too large, without reading all of it.
  std::string text(kMaxFileBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) throw std::system_error(EIO, std::generic_category());
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > kMaxFileBytes)
    throw std::runtime_error(fmt::format("it is larger than {} KiB", kMaxFileBytes / 1024));
  return text;
}

std::map<std::string, NodeSettings, std::less<>> read_named_levels(const YamlNode& node,
                                                                   std::string_view what, Reader& reader) {
  std::map<std::string, NodeSettings, std::less<>> levels;
  if (!reader.map(node, what)) return levels;
  for (const YamlEntry& entry : node.entries) {
    NodeSettings settings =
        read_node_settings(entry.value, fmt::format("'{}' in {}", entry.key, what), reader);
    if (settings.checks != nullptr) {
      reader.error(*settings.checks, fmt::format("checks cannot be part of {}", what),
                   "write them in a node, a link, or topology.defaults");
    }
    levels.emplace(entry.key, std::move(settings));
  }
  return levels;
}

// The steps from tree to lab, in order; each reports what it finds and goes on.
class LabReader {
 public:
  LabReader(const YamlNode& root, const std::filesystem::path& file, const Surroundings& surroundings,
            Diagnostics& diagnostics)
      : root_(root),
        surroundings_(surroundings),
        diagnostics_(diagnostics),
        reader_(diagnostics, surroundings.variable) {
    lab_.file = file;
  }

  Lab read() {
    if (!reader_.map(root_, "a lab", top_keys())) return std::move(lab_);
    read_names();
    const YamlNode* topology = root_.find("topology");
    if (topology == nullptr) {
      reader_.error(root_, "the lab has no topology", "write topology: with nodes: and links:");
      return std::move(lab_);
    }
    if (!reader_.map(*topology, "topology", topology_keys())) return std::move(lab_);
    read_levels(*topology);
    read_nodes(*topology);
    read_links(*topology);
    check_machines();
    read_checks();
    return std::move(lab_);
  }

 private:
  void read_names() {
    if (const YamlNode* name = root_.find("name")) {
      if (const auto text = reader_.text(*name, "name")) {
        if (const auto fault = check_lab_name(*text)) reader_.error(*name, fault->message, fault->hint);
        lab_.name = *text;
      }
    } else {
      reader_.error(root_, "the lab has no name", "write name: at the top");
    }
    lab_.prefix = "patchbay";
    if (const YamlNode* prefix = root_.find("prefix")) {
      if (prefix->kind == YamlNode::Kind::null) {
        lab_.prefix.clear();
      } else if (const auto text = reader_.text(*prefix, "prefix")) {
        if (const auto fault = check_prefix(*text)) reader_.error(*prefix, fault->message, fault->hint);
        lab_.prefix = *text;
      }
    }
  }

  void read_levels(const YamlNode& topology) {
    if (const YamlNode* defaults = topology.find("defaults"))
      levels_.defaults = read_node_settings(*defaults, "defaults", reader_);
    if (const YamlNode* kinds = topology.find("kinds")) {
      levels_.kinds = read_named_levels(*kinds, "kinds", reader_);
      for (const auto& [name, settings] : levels_.kinds) {
        const Parsed<NodeKind> kind = parse_kind(name);
        if (const auto* known = std::get_if<NodeKind>(&kind))
          check_kind_settings(*known, settings, diagnostics_);
      }
    }
    if (const YamlNode* groups = topology.find("groups"))
      levels_.groups = read_named_levels(*groups, "groups", reader_);
  }

  void read_nodes(const YamlNode& topology) {
    const YamlNode* nodes = topology.find("nodes");
    if (nodes == nullptr || (nodes->kind == YamlNode::Kind::map && nodes->entries.empty())) {
      reader_.error(nodes == nullptr ? topology : *nodes, "the topology has no nodes",
                    "write nodes: with one entry a node, such as h1: {kind: linux}");
      return;
    }
    if (!reader_.map(*nodes, "nodes")) return;
    for (const YamlEntry& entry : nodes->entries) {
      known_.push_back(entry.key);
      if (const auto fault = check_node_name(entry.key)) {
        diagnostics_.error(entry.at, fault->message, fault->hint, std::max<std::size_t>(1, entry.key.size()));
        continue;
      }
      NodeSettings settings = read_node_settings(entry.value, fmt::format("node '{}'", entry.key), reader_);
      const YamlNode* checks = settings.checks;
      auto node = resolve_node({entry.key, entry.at}, std::move(settings), levels_, lab_, surroundings_,
                               diagnostics_);
      if (!node) continue;
      if (checks != nullptr) node_checks_.emplace_back(checks, lab_.nodes.size());
      lab_.nodes.push_back(std::move(*node));
    }
  }

  void read_links(const YamlNode& topology) {
    const YamlNode* links = topology.find("links");
    std::vector<LinkSettings> settings;
    if (links != nullptr && reader_.list(*links, "links")) {
      for (const YamlNode& item : links->items) {
        if (auto link = read_link_settings(item, reader_)) settings.push_back(std::move(*link));
      }
    }
    for (const LinkSettings& link : settings) {
      if (link.checks != nullptr) link_checks_.push_back(link.checks);
    }
    resolve_links(settings, known_, lab_, diagnostics_);
  }

  void check_machines() {
    for (const Node& node : lab_.nodes) {
      std::size_t possible = kMaxDevices;
      if (node.boot) possible -= std::min(possible, kVmOwnDevices + node.boot->disks.size());
      const bool machine = node.kind == NodeKind::router || node.kind == NodeKind::vm;
      if (machine && node.interfaces.size() > possible) {
        diagnostics_.error(
            node.at,
            fmt::format("{} '{}' has {} interfaces", to_string(node.kind), node.name, node.interfaces.size()),
            fmt::format("at most {} are possible{}", possible, node.boot ? " beside its disks" : ""),
            node.name.size());
      } else if (node.kind == NodeKind::router) {
        check_router_config(node, diagnostics_);
      }
    }
  }

  void read_checks() {
    if (levels_.defaults.checks != nullptr)
      resolve_checks(*levels_.defaults.checks, std::nullopt, reader_, lab_);
    for (const auto& [checks, node] : node_checks_)
      resolve_checks(*checks, node, reader_, lab_);
    for (const YamlNode* checks : link_checks_)
      resolve_checks(*checks, std::nullopt, reader_, lab_);
  }

  const YamlNode& root_;
  const Surroundings& surroundings_;
  Diagnostics& diagnostics_;
  Reader reader_;
  Lab lab_;
  Levels levels_;
  std::vector<std::string> known_;
  std::vector<std::pair<const YamlNode*, std::size_t>> node_checks_;
  std::vector<const YamlNode*> link_checks_;
};

}  // namespace

PathKind host_path_kind(const std::filesystem::path& path) {
  std::error_code error;
  switch (std::filesystem::status(path, error).type()) {
    case std::filesystem::file_type::not_found:
    case std::filesystem::file_type::none:
      return PathKind::missing;
    case std::filesystem::file_type::regular:
    case std::filesystem::file_type::block:
      return PathKind::file;
    case std::filesystem::file_type::directory:
      return PathKind::directory;
    default:
      return PathKind::other;
  }
}

std::string host_file_start(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string text(1024, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(0, stream.gcount())));
  return text;
}

Surroundings host_surroundings() {
  return {.variable = environment_variable, .read_file = read_text_file};
}

LoadResult parse_lab(std::string_view text, const std::filesystem::path& file,
                     const Surroundings& surroundings) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.substr(0, kByteOrderMark.size()) == kByteOrderMark) text.remove_prefix(kByteOrderMark.size());
  Diagnostics diagnostics(file.string(), text);
  LoadResult result;
  if (const std::optional<YamlNode> root = read_yaml(text, diagnostics)) {
    result.lab = LabReader(*root, file, surroundings, diagnostics).read();
  }
  if (diagnostics.has_errors()) result.lab.reset();
  result.diagnostics = diagnostics.take();
  return result;
}

LoadResult load_lab(const std::filesystem::path& file, const Surroundings& surroundings) {
  std::string text;
  try {
    text = surroundings.read_file(file);
  } catch (const std::exception& error) {
    Diagnostics diagnostics(file.string(), {});
    diagnostics.error({}, fmt::format("the lab file cannot be read: {}", error.what()),
                      "name it with -t, such as -t examples/two-lans.clab.yml");
    return {std::nullopt, diagnostics.take()};
  }
  return parse_lab(text, file, surroundings);
}

}  // namespace patchbay::tools
