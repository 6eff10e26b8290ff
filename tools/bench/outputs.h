// The report in the forms that other tools read.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/bench/report.h"
#include "tools/bench/verdict.h"

namespace patchbay::tools::bench {

/// github-action-benchmark, customBiggerIsBetter (true) or customSmallerIsBetter (false): the figures of that
/// kind.
[[nodiscard]] nlohmann::json to_action_benchmark(const Report& report, bool bigger_is_better);

/// Bencher Metric Format.
[[nodiscard]] nlohmann::json to_bencher(const Report& report);

/// One test case a verdict.
[[nodiscard]] std::string to_junit(const Report& report, const std::vector<Verdict>& verdicts);

/// Bars of the rates by frame size.
[[nodiscard]] std::string throughput_svg(const Report& report);
/// Latency by percentile, one line for each load and frame size; empty if no latency was measured.
[[nodiscard]] std::string latency_svg(const Report& report);

}  // namespace patchbay::tools::bench
