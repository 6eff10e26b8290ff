#include "tools/engine/engine_node.h"

namespace patchbay::tools {

control::Json EngineNode::interface_facts(std::size_t /*index*/) const {
  return control::Json::object();
}

void EngineNode::power(const PowerRequest& /*request*/, const Exchange& /*exchange*/) {
  throw control::RequestError("it is no machine and has no power switch");
}

void EngineNode::exec(const control::Json& /*arguments*/, const Exchange& /*exchange*/) {
  throw control::RequestError("commands reach it in another way");
}

}  // namespace patchbay::tools
