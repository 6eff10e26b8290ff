// Multiple Loss Ratio search (RFC 9971): finds, for each of several goals, the highest load that a system
// forwards with no more than the goal's loss ratio in most of its trials. Trials at one load may contradict
// each other, as they do on machines that other work disturbs.
//
// Pure logic: the one who can run trials is a function.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace patchbay::tools::bench {

/// RFC 9971, search goal: what a load has to stand to count as a lower bound. Durations in seconds.
struct SearchGoal {
  std::string name;
  double loss_ratio = 0;
  double exceed_ratio = 0.5;  // share of the duration sum in which the loss ratio may be exceeded
  double initial_trial_duration = 1;
  double final_trial_duration = 1;
  double duration_sum = 21;
  double width = 0.005;  // of the interval between the bounds, relative to the upper one
};

/// What one trial found.
struct TrialSample {
  double duration = 0;  // seconds
  double loss_ratio = 0;
};

enum class LoadClass { lower_bound, undecided, upper_bound };

/// RFC 9971, appendix A, for all trials at one load.
[[nodiscard]] LoadClass classify(const SearchGoal& goal, std::span<const TrialSample> trials);

/// RFC 9971, appendix B: the rate that the system forwards at `load`, by the trial that the goal lets stand
/// for all. At least one trial.
[[nodiscard]] double conditional_throughput(const SearchGoal& goal, double load,
                                            std::span<const TrialSample> trials);

struct SearchLimits {
  double min_load = 0;  // frames per second
  double max_load = 0;  // frames per second; the search starts here
  double max_seconds =
      0;  // sum of all trials' durations, after which the search ends as it stands; 0: no end
};

/// Relevant bounds at the end of the search. Without a lower bound the result is irregular: the system loses
/// too much at every load, or the time ran out. Without an upper bound, max_load itself is fine.
struct GoalResult {
  std::optional<double> lower, upper;  // frames per second
  double throughput = 0;               // conditional throughput at the lower bound; 0 without
};

/// Runs a trial of `duration` seconds at `load` frames per second.
using Measurer = std::function<TrialSample(double load, double duration)>;

/// One result a goal. Preconditions: goals with durations > 0, initial <= final <= sum, 0 <= exceed_ratio <
/// 1, 0 < width < 1; 0 < min_load <= max_load.
[[nodiscard]] std::vector<GoalResult> mlrsearch(std::span<const SearchGoal> goals, const SearchLimits& limits,
                                                const Measurer& measure);

}  // namespace patchbay::tools::bench
