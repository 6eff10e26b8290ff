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
                                 double& highest_send_rate, const Progress& progress) {
  ReceiveRate result;
  const auto run = [&](PathUnderTest path, std::chrono::milliseconds duration, const char* purpose) {
    const TrialResult trial =
        run_and_keep(runner, {path, 0, duration, options.bidirectional, false}, purpose, report);
    if (path == PathUnderTest::lab) highest_send_rate = std::max(highest_send_rate, trial.send_rate());
    return trial.receive_rate();
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

/// Frames per second of a trial that shall not load anything.
constexpr double kSingleFrames = 1000;
/// A search does not look below this share of the maximum receive rate.
constexpr double kLowestShare = 1e-3;
/// An overloaded path may forward much less than it can; so far above that rate the search looks.
constexpr double kHighestShare = 4;

void search(TrialRunner& runner, const CampaignOptions& options, double highest_send_rate, MixReport& report,
            const Progress& progress) {
  const double directions = options.bidirectional ? 2 : 1;
  const double received = report.receive_rate.rate() / directions;
  SearchLimits limits;
  limits.max_load = std::max(1.0, std::min(highest_send_rate / directions, kHighestShare * received));
  limits.min_load = std::max(1.0, kLowestShare * limits.max_load);
  limits.max_seconds = options.max_search_seconds;
  unsigned trials = 0;
  const Measurer measurer = [&](double load, double duration) {
    const auto time = std::chrono::milliseconds(static_cast<std::int64_t>(duration * 1000 + 0.5));
    const TrialResult result = run_and_keep(
        runner, {PathUnderTest::lab, load, time, options.bidirectional, false}, "search", report);
    progress(fmt::format("{} bytes: search, trial {}: {:.3f} Mpps, {:.4f} % lost", report.mix.name, ++trials,
                         load * directions / 1e6, 100 * result.loss_ratio()));
    return TrialSample{duration, result.loss_ratio()};
  };
  const std::vector<GoalResult> results = mlrsearch(options.goals, limits, measurer);
  for (std::size_t i = 0; i < results.size(); ++i) {
    SearchFigures figures;
    figures.name = options.goals[i].name;
    figures.loss_ratio = options.goals[i].loss_ratio;
    if (results[i].lower) figures.lower = *results[i].lower * directions;
    if (results[i].upper) figures.upper = *results[i].upper * directions;
    figures.throughput = results[i].throughput * directions;
    const double reference = report.receive_rate.reference_rate();
    figures.ratio = reference > 0 ? figures.throughput / reference : 0;
    report.searches.push_back(std::move(figures));
  }
}

LatencyFigures measure_latency(TrialRunner& runner, const CampaignOptions& options, double percent,
                               double full_rate, MixReport& report) {
  LatencyFigures figures;
  figures.load_percent = percent;
  figures.rate = percent == 0 ? kSingleFrames : full_rate * percent / 100;
  const TrialResult result = run_and_keep(
      runner, {PathUnderTest::lab, figures.rate, options.trial_duration, options.bidirectional, true},
      "latency", report);
  for (const DirectionCounts& direction : result.directions) {
    const auto value = [&](const char* name) { return direction.latency.at(name).get<double>(); };
    figures.histograms.push_back(direction.latency.at("hdr_v2").get<std::string>());
    if (figures.count != 0 && value("p99_ns") <= figures.p99) continue;
    figures.count = direction.latency.at("count").get<std::uint64_t>();
    figures.min = value("min_ns");
    figures.mean = value("mean_ns");
    figures.median = value("p50_ns");
    figures.p90 = value("p90_ns");
    figures.p99 = value("p99_ns");
    figures.p999 = value("p99.9_ns");
    figures.max = value("max_ns");
    figures.curve = direction.latency.at("percentiles").get<std::vector<std::pair<double, double>>>();
  }
  return figures;
}

}  // namespace

MixReport measure_mix(TrialRunner& runner, const FrameMix& mix, const CampaignOptions& options,
                      const Progress& progress) {
  MixReport report;
  report.mix = mix;
  progress(fmt::format("{} bytes: finding the path", mix.name));
  runner.prepare(mix);
  double send_rate = 0;
  report.receive_rate = measure_receive_rate(runner, options, report, send_rate, progress);
  if (options.goals.empty()) return report;
  search(runner, options, send_rate, report, progress);
  const std::optional<double>& bound = report.searches.back().lower;
  for (const double percent : options.latency_loads) {
    if (percent != 0 && !bound) continue;
    progress(
        fmt::format("{} bytes: latency at {:g} % of {}", mix.name, percent, report.searches.back().name));
    const double full_rate = bound.value_or(0) / (options.bidirectional ? 2 : 1);
    report.latencies.push_back(measure_latency(runner, options, percent, full_rate, report));
  }
  return report;
}

}  // namespace patchbay::tools::bench
