// The little of statistics that a benchmark's report needs.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace patchbay::tools::bench {

/// The middle value, or the mean of the two middle ones; 0 for none.
[[nodiscard]] inline double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/// Half the distance between the quartiles in units of the median: how much a repeated run may differ.
[[nodiscard]] inline double relative_spread(std::vector<double> values) {
  const double middle = median(values);
  if (values.size() < 2 || middle == 0) return 0;
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<std::size_t>(std::lround(share * static_cast<double>(values.size() - 1)))];
  };
  return (at(0.75) - at(0.25)) / 2 / middle;
}

}  // namespace patchbay::tools::bench
