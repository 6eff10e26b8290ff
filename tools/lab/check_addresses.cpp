#include "tools/lab/check_addresses.h"

#include <fmt/format.h>

#include <map>
#include <string>
#include <tuple>
#include <utility>

namespace patchbay::tools {
namespace {

std::string place(const Lab& lab, const PlacedAddress& placed) {
  const Node& node = lab.nodes[placed.node];
  return fmt::format("{}:{}", node.name, node.interfaces[placed.interface].name);
}

const Link& link_of(const Lab& lab, const PlacedAddress& placed) {
  return lab.links[lab.nodes[placed.node].interfaces[placed.interface].link];
}

// All links of one bridge are one segment, named by the bridge; a wire is one by itself.
using Segment = std::pair<bool, std::size_t>;
Segment segment_of(const Lab& lab, const PlacedAddress& placed) {
  const Link& link = link_of(lab, placed);
  for (const Endpoint& end : {link.a, link.z}) {
    if (lab.nodes[end.node].kind == NodeKind::bridge) return {true, end.node};
  }
  return {false, lab.nodes[placed.node].interfaces[placed.interface].link};
}

void check_unique(const Lab& lab, const std::vector<PlacedAddress>& addresses, Diagnostics& diagnostics) {
  std::map<std::tuple<Segment, IpFamily, std::array<std::uint8_t, 16>>, const PlacedAddress*> owners;
  for (const PlacedAddress& placed : addresses) {
    const IpAddress& ip = placed.address.address;
    const auto [owner, is_new] = owners.try_emplace({segment_of(lab, placed), ip.family, ip.bytes}, &placed);
    if (is_new) continue;
    diagnostics.error(placed.at,
                      fmt::format("{} already belongs to {}, on the same segment (line {})", to_string(ip),
                                  place(lab, *owner->second), owner->second->at.line),
                      fmt::format("give {} another address", place(lab, placed)),
                      to_string(placed.address).size());
  }
}

void check_router_subnets(const Lab& lab, const std::vector<PlacedAddress>& addresses,
                          Diagnostics& diagnostics) {
  std::map<std::size_t, std::vector<const PlacedAddress*>> of_router;
  for (const PlacedAddress& placed : addresses) {
    if (lab.nodes[placed.node].kind != NodeKind::router) continue;
    std::vector<const PlacedAddress*>& others = of_router[placed.node];
    for (const PlacedAddress* other : others) {
      if (!subnets_overlap(placed.address, other->address)) continue;
      diagnostics.error(
          placed.at,
          fmt::format("the subnet of {} overlaps that of {} at {} (line {})", to_string(placed.address),
                      to_string(other->address), place(lab, *other), other->at.line),
          "each interface of a router needs a subnet of its own", to_string(placed.address).size());
      break;
    }
    others.push_back(&placed);
  }
}

// Legal, and sometimes meant, but far more often a slip.
void check_wire_subnets(const Lab& lab, const std::vector<PlacedAddress>& addresses,
                        Diagnostics& diagnostics) {
  std::map<std::pair<std::size_t, IpFamily>, const PlacedAddress*> first_end;
  for (const PlacedAddress& placed : addresses) {
    const Segment segment = segment_of(lab, placed);
    if (segment.first) continue;
    const auto [other, is_new] =
        first_end.try_emplace({segment.second, placed.address.address.family}, &placed);
    if (is_new || subnets_overlap(placed.address, other->second->address)) continue;
    diagnostics.warning(placed.at,
                        fmt::format("the two ends of the link are in different subnets: {} and {}",
                                    to_string(other->second->address), to_string(placed.address)),
                        "give both addresses of one subnet", to_string(placed.address).size());
  }
}

}  // namespace

void check_addresses(const Lab& lab, const std::vector<PlacedAddress>& addresses, Diagnostics& diagnostics) {
  check_unique(lab, addresses, diagnostics);
  check_router_subnets(lab, addresses, diagnostics);
  check_wire_subnets(lab, addresses, diagnostics);
}

}  // namespace patchbay::tools
