// What a lab file says about a node at one level (the node itself, its group, its kind, the defaults) before
// the levels are put together.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/lab/model.h"
#include "tools/lab/reader.h"

namespace patchbay::tools {

template <class T>
using Setting = std::optional<Located<T>>;

struct NodeSettings {
  Setting<std::string> kind;
  Setting<std::string> group;
  Setting<std::string> type;
  Setting<std::string> image;
  Setting<std::string> cmd;
  Setting<std::string> startup_config;
  Setting<unsigned> cpu;
  Setting<std::uint64_t> memory_bytes;
  Setting<HealthCheck> healthcheck;
  std::vector<Located<std::string>> exec;
  std::vector<Located<std::string>> binds;
  std::map<std::string, Located<std::string>> env;
  std::map<std::string, Located<std::string>> labels;
  // Under config.vars.patchbay:
  Setting<std::string> kernel;
  Setting<std::string> initrd;
  Setting<std::chrono::microseconds> boot_timeout;
  Setting<VmEngine> engine;
  Setting<std::string> devargs;
  const YamlNode* checks = nullptr;  // belongs to its level, is not inherited
};

/// Reads one level. `what` names it in messages: "node 'r1'". Absent values stay empty.
[[nodiscard]] NodeSettings read_node_settings(const YamlNode& node, const std::string& what, Reader& reader);

/// Adds what a less specific level says: scalars only where there is none yet, map entries likewise, lists at
/// the end.
void inherit(NodeSettings& settings, const NodeSettings& from);

}  // namespace patchbay::tools
