#include "vswitch/balance.h"

#include <fmt/format.h>

#include <numeric>

namespace patchbay::vswitch {

namespace {

std::uint64_t sum(const DropValues& dropped) {
  return std::accumulate(dropped.begin(), dropped.end(), std::uint64_t{0});
}

}  // namespace

std::vector<std::string> imbalances(const SegmentSnapshot& segment) {
  std::vector<std::string> result;
  for (const PortSnapshot& port : segment.ports) {
    if (port.in.frames != port.in.forwarded + sum(port.in.dropped)) {
      result.push_back(fmt::format("{}: in.frames {} != in.forwarded {} + dropped {}", port.name,
                                   port.in.frames, port.in.forwarded, sum(port.in.dropped)));
    }
    if (port.out.offered != port.out.delivered + sum(port.out.dropped)) {
      result.push_back(fmt::format("{}: out.offered {} != out.delivered {} + dropped {}", port.name,
                                   port.out.offered, port.out.delivered, sum(port.out.dropped)));
    }
  }
  if (segment.copies != segment.offered) {
    result.push_back(
        fmt::format("{}: {} copies made != {} offered", segment.name, segment.copies, segment.offered));
  }
  return result;
}

}  // namespace patchbay::vswitch
