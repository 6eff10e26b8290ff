// One node of the model, from what its levels say together.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "tools/lab/load.h"
#include "tools/lab/model.h"
#include "tools/lab/node_settings.h"
#include "tools/lab/reader.h"

namespace patchbay::tools {

/// The less specific levels.
struct Levels {
  NodeSettings defaults;
  std::map<std::string, NodeSettings, std::less<>> kinds;
  std::map<std::string, NodeSettings, std::less<>> groups;
};

/// The kind with this name, or what is wrong with it.
[[nodiscard]] Parsed<NodeKind> parse_kind(std::string_view name);

/// Reports settings that nodes of this kind cannot honour; `settings` are one level's own, before
/// inheritance.
void check_kind_settings(NodeKind kind, const NodeSettings& settings, Diagnostics& diagnostics);

/// Puts the levels together, reads and replaces what the result refers to. The node has no interfaces yet.
/// Nothing if the kind is unknown.
[[nodiscard]] std::optional<Node> resolve_node(const Located<std::string>& name, NodeSettings settings,
                                               const Levels& levels, const Lab& lab,
                                               const Surroundings& surroundings, Diagnostics& diagnostics);

}  // namespace patchbay::tools
