// The links of the model: looks up their nodes, makes the interfaces, and checks what only shows where links
// meet (an interface used twice, addresses and subnets that collide).
#pragma once

#include <vector>

#include "tools/lab/diagnostics.h"
#include "tools/lab/link_settings.h"
#include "tools/lab/model.h"

namespace patchbay::tools {

/// Adds links to `lab`, whose nodes are complete but for their interfaces. Leaves the interfaces in natural
/// order of their names. `known` names all nodes of the file, also those that could not be resolved.
void resolve_links(const std::vector<LinkSettings>& settings, const std::vector<std::string>& known, Lab& lab,
                   Diagnostics& diagnostics);

}  // namespace patchbay::tools
