// The whole of a benchmark run: for each frame size the maximum receive rate beside the reference path, then,
// if wanted, the searches and the latencies.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "tools/bench/mlrsearch.h"
#include "tools/bench/report.h"
#include "tools/bench/trial.h"

namespace patchbay::tools::bench {

struct CampaignOptions {
  std::vector<FrameMix> mixes;
  bool bidirectional = false;
  unsigned rounds = 5;  // of the maximum receive rate, lab and reference in turn
  std::chrono::milliseconds trial_duration{1000};
  std::vector<SearchGoal> goals;    // of MLRsearch; none: no search, no latencies
  double max_search_seconds = 300;  // for each frame size
  std::vector<double> latency_loads{0, 10, 50,
                                    90};  // percent of the last goal's lower bound; 0: single frames
};

/// Hears what is going on, in one line without newline.
using Progress = std::function<void(const std::string&)>;

[[nodiscard]] MixReport measure_mix(TrialRunner& runner, const FrameMix& mix, const CampaignOptions& options,
                                    const Progress& progress);

}  // namespace patchbay::tools::bench
