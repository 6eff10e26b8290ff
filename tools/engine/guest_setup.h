// What the engine has a guest's agent do after every boot, before the node's `exec` list: give the interfaces
// the names that the lab file uses, its MTUs and addresses.
#pragma once

#include <string>

#include "tools/lab/model.h"

namespace patchbay::tools {

/// A script for `sh` that needs ip(8) of iproute2 or busybox. Interfaces are found by their MAC addresses.
/// May run again in the same boot. Empty if the node has no interfaces.
[[nodiscard]] std::string guest_setup_script(const Node& node);

}  // namespace patchbay::tools
