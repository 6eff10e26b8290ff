// Whether a report is good enough: thresholds of the user's, and comparison with an earlier report.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tools/bench/report.h"

namespace patchbay::tools::bench {

struct Verdict {
  std::string name;  // of the figure, and what was asked of it
  bool passed = false;
  std::string explanation;  // with the figures
};

/// "64 B MRR ratio >= 0.05"
struct Requirement {
  std::string figure;
  bool at_least = true;  // else: at most
  double value = 0;
};

struct InputFault {
  std::string message;  // what is wrong, and what would be right
};

[[nodiscard]] std::variant<Requirement, InputFault> parse_requirement(std::string_view text);
/// A share, from "5%" or "0.05".
[[nodiscard]] std::variant<double, InputFault> parse_share(std::string_view text);

[[nodiscard]] Verdict judge(const Requirement& requirement, const Report& report);

/// The figures of a report in Patchbay's own format.
[[nodiscard]] std::variant<std::vector<Figure>, InputFault> read_figures(const nlohmann::json& report);

/// One verdict for every ratio that both reports have. Ratios only: they were measured side by side with the
/// reference path and mean the same on a machine in another mood. None in common is a failure.
[[nodiscard]] std::vector<Verdict> compare(const Report& report, const std::vector<Figure>& baseline,
                                           double max_regression);

}  // namespace patchbay::tools::bench
