// Checks the equations of vswitch/counters.h: every frame is accounted for exactly once.
#pragma once

#include <string>
#include <vector>

#include "vswitch/snapshot.h"

namespace patchbay::vswitch {

/// One sentence per equation that does not hold, such as "r1:eth0: in.frames 10 != in.forwarded 8 + dropped
/// 1". Empty when the counters balance.
[[nodiscard]] std::vector<std::string> imbalances(const SegmentSnapshot& segment);

}  // namespace patchbay::vswitch
