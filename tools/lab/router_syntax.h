// The router appliance's own configuration parser, run on the host.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tools/lab/model.h"

namespace patchbay::tools {

struct RouterSyntaxError {
  Position at;  // in the configuration text
  std::string message;
  std::string hint;
  std::size_t marked_bytes = 1;
};

/// Configures a router that has the node's interfaces with `text` (FRR syntax) and returns all its
/// complaints.
[[nodiscard]] std::vector<RouterSyntaxError> find_router_syntax_errors(const Node& router,
                                                                       std::string_view text);

}  // namespace patchbay::tools
