// Whether the addresses of a lab can work together: unique on their segment, subnets that do not overlap on
// one router, both ends of a wire in one subnet.
#pragma once

#include <cstddef>
#include <vector>

#include "tools/lab/diagnostics.h"
#include "tools/lab/model.h"

namespace patchbay::tools {

struct PlacedAddress {
  InterfaceAddress address;
  Position at;                // in the lab file
  std::size_t node = 0;       // index into Lab::nodes
  std::size_t interface = 0;  // index into Node::interfaces
};

/// Reports what is wrong with `addresses`, which are in the file's order. Addresses in startup configurations
/// and `exec` are not looked at.
void check_addresses(const Lab& lab, const std::vector<PlacedAddress>& addresses, Diagnostics& diagnostics);

}  // namespace patchbay::tools
