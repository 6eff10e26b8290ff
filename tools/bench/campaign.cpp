#include "tools/bench/campaign.h"

#include <fmt/format.h>

#include <algorithm>

namespace patchbay::tools::bench {

namespace {

// The reference path needs no long look, and what is between it and the lab's trial is the same hardware in
// the same mood.
constexpr std::chrono::milliseconds kReferenceDuration{200};

TrialResult run_and_keep(TrialRunner& runner, const TrialOrder& order, const char* purpose,
                         MixReport& report) {
  TrialResult result = runner.run(order);
  result.json["purpose"] = purpose;
  report.trials.push_back(result.json);
  return result;
}

ReceiveRate measure_receive_rate(TrialRunner& runner, const CampaignOptions& options, MixReport& report,
                                 const Progress& progress) {
  ReceiveRate result;
  const auto run = [&](PathUnderTest path, std::chrono::milliseconds duration, const char* purpose) {
    return run_and_keep(runner, {path, 0, duration, options.bidirectional, false}, purpose, report)
        .receive_rate();
  };
  const auto reference_duration = std::min(options.trial_duration, kReferenceDuration);
  for (unsigned round = 0; round < options.rounds; ++round) {
    // Lab and reference alternate, and so does which goes first.
    double rate = 0, reference = 0;
    const auto measure_lab = [&] { rate = run(PathUnderTest::lab, options.trial_duration, "MRR"); };
    if (round % 2 == 1) measure_lab();
    reference = run(PathUnderTest::reference, reference_duration, "reference");
    if (round % 2 == 0) measure_lab();
    result.rates.push_back(rate);
    result.reference_rates.push_back(reference);
    result.ratios.push_back(reference > 0 ? rate / reference : 0);
    progress(fmt::format("{} bytes: MRR {}/{}: {:.3f} Mpps, {:.3f} of the reference path", report.mix.name,
                         round + 1, options.rounds, rate / 1e6, result.ratios.back()));
  }
  return result;
}

}  // namespace

MixReport measure_mix(TrialRunner& runner, const FrameMix& mix, const CampaignOptions& options,
                      const Progress& progress) {
  MixReport report;
  report.mix = mix;
  progress(fmt::format("{} bytes: finding the path", mix.name));
  runner.prepare(mix);
  report.receive_rate = measure_receive_rate(runner, options, report, progress);
  return report;
}

}  // namespace patchbay::tools::bench
