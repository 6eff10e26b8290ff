#include "tools/engine/engine_node.h"

namespace patchbay::tools {

void EngineNode::power(const PowerRequest& /*request*/, const Exchange& /*exchange*/) {
  throw control::RequestError("it is no machine and has no power switch");
}

}  // namespace patchbay::tools
