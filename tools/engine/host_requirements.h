// What a lab needs of its host, checked before anything is created.
#pragma once

#include <string>

#include "tools/lab/model.h"

namespace patchbay::tools {

/// Why this host cannot run the lab, with the way out; empty if it can. Measures, creates nothing.
[[nodiscard]] std::string missing_for(const Lab& lab, const std::string& kvm_path);

}  // namespace patchbay::tools
