// What a lab needs of its host, checked before anything is created.
//
// Threads: any one at a time.
#pragma once

#include <string>

#include "tools/engine/engine_choice.h"
#include "tools/lab/model.h"

namespace patchbay::tools {

/// What runs a vm on this host; measures it at the first call that needs to know.
[[nodiscard]] EngineChoice engine_for(const Node& vm, const std::string& kvm_path);

/// Why this host cannot run the lab, with the way out; empty if it can. Measures, creates nothing.
[[nodiscard]] std::string missing_for(const Lab& lab, const std::string& kvm_path);

}  // namespace patchbay::tools
