// The configuration text that a router boots with: the addresses its links give it, then its startup
// configuration.
#pragma once

#include <string>

#include "tools/lab/model.h"

namespace patchbay::tools {

/// FRR syntax; what goes into module 0 of the appliance. The startup configuration comes second, so that it
/// may refer to the interfaces and add to them.
[[nodiscard]] std::string router_boot_config(const Node& node);

}  // namespace patchbay::tools
