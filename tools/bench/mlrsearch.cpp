#include "tools/bench/mlrsearch.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace patchbay::tools::bench {

namespace {

// A goal is approached in steps, each with longer trials, a larger sum and a narrower interval than the one
// before, so that the expensive trials are run near the result only.
constexpr unsigned kSteps = 3;
constexpr double kWidthRatio = 4;

struct Sums {
  double good_long = 0, bad_long = 0, good_short = 0, bad_short = 0;  // of trial durations
};

Sums sums_of(const SearchGoal& goal, std::span<const TrialSample> trials) {
  Sums sums;
  for (const TrialSample& trial : trials) {
    const bool good = trial.loss_ratio <= goal.loss_ratio;
    // Measured durations differ from what was asked by less than this.
    if (trial.duration >= goal.final_trial_duration * 0.999) {
      (good ? sums.good_long : sums.bad_long) += trial.duration;
    } else {
      (good ? sums.good_short : sums.bad_short) += trial.duration;
    }
  }
  return sums;
}

struct Bounds {
  std::optional<double> lower, upper;
};

class Search {
 public:
  Search(const SearchLimits& limits, const Measurer& measure) : limits_(limits), measure_(measure) {}

  void measure_initial_loads(double duration);
  /// Measures until the bounds are as near each other as the goal demands. `hint`: where the step before
  /// ended.
  Bounds narrow(const SearchGoal& goal, const Bounds& hint);
  [[nodiscard]] GoalResult result(const SearchGoal& goal) const;

 private:
  [[nodiscard]] Bounds relevant_bounds(const SearchGoal& goal) const;
  [[nodiscard]] LoadClass class_of(const SearchGoal& goal, double load) const;
  void measure_once(double load, double duration);
  void decide(const SearchGoal& goal, double load);
  [[nodiscard]] bool out_of_time() const { return limits_.max_seconds > 0 && spent_ >= limits_.max_seconds; }

  const SearchLimits& limits_;
  const Measurer& measure_;
  std::map<double, std::vector<TrialSample>> trials_;  // by load
  double spent_ = 0;
};

void Search::measure_once(double load, double duration) {
  const TrialSample sample = measure_(load, duration);
  trials_[load].push_back(sample);
  spent_ += std::max(sample.duration, duration);
}

void Search::measure_initial_loads(double duration) {
  // What an overloaded system forwards is a good guess of what it can; asked twice, since overload costs.
  double load = limits_.max_load;
  for (int i = 0; i < 3; ++i) {
    measure_once(load, duration);
    const double forwarded = load * (1 - trials_[load].back().loss_ratio);
    const double next = std::clamp(forwarded, limits_.min_load, limits_.max_load);
    if (next == load) return;
    load = next;
  }
}

LoadClass Search::class_of(const SearchGoal& goal, double load) const {
  const auto found = trials_.find(load);
  return found == trials_.end() ? LoadClass::undecided : classify(goal, found->second);
}

Bounds Search::relevant_bounds(const SearchGoal& goal) const {
  // RFC 9971, relevant bounds: the smallest upper bound, then the largest lower bound below it.
  Bounds bounds;
  for (const auto& [load, samples] : trials_) {
    const LoadClass kind = classify(goal, samples);
    if (kind == LoadClass::upper_bound) {
      bounds.upper = load;
      break;
    }
    if (kind == LoadClass::lower_bound) bounds.lower = load;
  }
  return bounds;
}

void Search::decide(const SearchGoal& goal, double load) {
  while (class_of(goal, load) == LoadClass::undecided && !out_of_time())
    measure_once(load, goal.final_trial_duration);
}

Bounds Search::narrow(const SearchGoal& goal, const Bounds& hint) {
  double stride = goal.width;  // of the steps outwards while a bound is missing
  for (;;) {
    const Bounds bounds = relevant_bounds(goal);
    if (out_of_time()) return bounds;
    const auto inside = [&](double load) {
      return (!bounds.lower || load > *bounds.lower) && (!bounds.upper || load < *bounds.upper);
    };
    // Where the step before ended, this one probably ends as well.
    std::optional<double> next;
    for (const std::optional<double>& candidate : {hint.lower, hint.upper}) {
      if (!next && candidate && inside(*candidate) && class_of(goal, *candidate) == LoadClass::undecided)
        next = candidate;
    }
    if (!next) {
      if (bounds.lower && bounds.upper) {
        const double width = (*bounds.upper - *bounds.lower) / *bounds.upper;
        if (width <= goal.width * 1.000001) return bounds;
        next = std::sqrt(*bounds.lower * *bounds.upper);
      } else if (bounds.upper) {
        if (*bounds.upper <= limits_.min_load) return bounds;
        next = std::max(limits_.min_load, *bounds.upper * (1 - std::min(stride, 0.5)));
        stride *= 2;
      } else if (bounds.lower) {
        if (*bounds.lower >= limits_.max_load) return bounds;
        next = std::min(limits_.max_load, *bounds.lower / (1 - std::min(stride, 0.5)));
        stride *= 2;
      } else {
        // Nothing decided yet: begin with the lowest load that was looked at.
        next = trials_.begin()->first;
      }
    }
    decide(goal, *next);
  }
}

GoalResult Search::result(const SearchGoal& goal) const {
  const Bounds bounds = relevant_bounds(goal);
  GoalResult result{bounds.lower, bounds.upper, 0};
  if (result.lower)
    result.throughput = conditional_throughput(goal, *result.lower, trials_.at(*result.lower));
  return result;
}

/// Step `step` of kSteps towards `goal`, the last one being the goal itself.
SearchGoal approach(const SearchGoal& goal, unsigned step) {
  const unsigned remaining = kSteps - 1 - step;
  if (remaining == 0) return goal;
  const double share = static_cast<double>(remaining) / (kSteps - 1);
  SearchGoal easier = goal;
  easier.final_trial_duration =
      goal.final_trial_duration * std::pow(goal.initial_trial_duration / goal.final_trial_duration, share);
  easier.duration_sum = goal.duration_sum * std::pow(goal.initial_trial_duration / goal.duration_sum, share);
  easier.width = std::min(0.5, goal.width * std::pow(kWidthRatio, remaining));
  return easier;
}

}  // namespace

LoadClass classify(const SearchGoal& goal, std::span<const TrialSample> trials) {
  const Sums sums = sums_of(goal, trials);
  // Short trials weigh in against a load only as far as short good ones do not balance them.
  const double balancing = sums.good_short * goal.exceed_ratio / (1 - goal.exceed_ratio);
  const double bad = sums.bad_long + std::max(0.0, sums.bad_short - balancing);
  const double whole = std::max(sums.good_long + bad, goal.duration_sum);
  const double allowed = whole * goal.exceed_ratio;
  const bool optimistic = bad <= allowed;                      // if all trials to come are good
  const bool pessimistic = whole - sums.good_long <= allowed;  // if all of them are bad
  if (optimistic != pessimistic) return LoadClass::undecided;
  return optimistic ? LoadClass::lower_bound : LoadClass::upper_bound;
}

double conditional_throughput(const SearchGoal& goal, double load, std::span<const TrialSample> trials) {
  std::vector<TrialSample> full_length;
  for (const TrialSample& trial : trials) {
    if (trial.duration >= goal.final_trial_duration * 0.999) full_length.push_back(trial);
  }
  std::sort(full_length.begin(), full_length.end(),
            [](const TrialSample& a, const TrialSample& b) { return a.loss_ratio < b.loss_ratio; });
  const Sums sums = sums_of(goal, trials);
  const double whole = std::max(goal.duration_sum, sums.good_long + sums.bad_long);
  // The loss ratio that is not exceeded for the share of time that counts; what was not measured lost all.
  double remaining = whole * (1 - goal.exceed_ratio);
  double loss_ratio = 1;
  for (const TrialSample& trial : full_length) {
    loss_ratio = trial.loss_ratio;
    remaining -= trial.duration;
    if (remaining <= 0) break;
  }
  if (remaining > 0) loss_ratio = 1;
  return load * (1 - loss_ratio);
}

std::vector<GoalResult> mlrsearch(std::span<const SearchGoal> goals, const SearchLimits& limits,
                                  const Measurer& measure) {
  Search search(limits, measure);
  double first_duration = 0;
  for (const SearchGoal& goal : goals) {
    if (first_duration == 0 || goal.initial_trial_duration < first_duration)
      first_duration = goal.initial_trial_duration;
  }
  search.measure_initial_loads(first_duration);
  std::vector<Bounds> hints(goals.size());
  for (unsigned step = 0; step < kSteps; ++step) {
    for (std::size_t i = 0; i < goals.size(); ++i)
      hints[i] = search.narrow(approach(goals[i], step), hints[i]);
  }
  std::vector<GoalResult> results;
  for (const SearchGoal& goal : goals)
    results.push_back(search.result(goal));
  return results;
}

}  // namespace patchbay::tools::bench
