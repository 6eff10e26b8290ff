// The checks of a lab, from `vars: {patchbay: {checks: [...]}}` of links and `config: {vars: {patchbay:
// ...}}` of nodes and defaults.
#pragma once

#include <cstddef>
#include <optional>

#include "tools/lab/model.h"
#include "tools/lab/reader.h"

namespace patchbay::tools {

/// Adds the checks of the list `node` to `lab`, whose nodes and links are complete. `here` is the node the
/// list belongs to (index into Lab::nodes), which `from` and `node` then default to.
void resolve_checks(const YamlNode& node, std::optional<std::size_t> here, Reader& reader, Lab& lab);

}  // namespace patchbay::tools
