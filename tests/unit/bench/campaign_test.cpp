// A whole campaign against a simulated lab.
#include "tools/bench/campaign.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tools/bench/outputs.h"

namespace patchbay::tools::bench {
namespace {

/// Forwards what it can, each direction on its own, on a machine that is slower in every other round.
class SimulatedLab final : public TrialRunner {
 public:
  double capacity = 2e6, reference = 20e6;
  unsigned trials = 0;

  void prepare(const FrameMix& mix) override { prepared.push_back(mix.name); }
  TrialResult run(const TrialOrder& order) override {
    const double mood = trials++ / 2 % 2 == 0 ? 1.0 : 0.5;
    const double most = order.path == PathUnderTest::lab ? capacity : reference;
    // The search needs a steady device; full load has moods.
    const double limit = order.rate == 0 ? most * mood : most;
    const double seconds = std::chrono::duration<double>(order.duration).count();
    const double load = order.rate == 0 ? reference : order.rate;
    nlohmann::json directions = nlohmann::json::array();
    for (int i = 0; i < (order.bidirectional ? 2 : 1); ++i) {
      const auto sent = static_cast<std::uint64_t>(load * seconds);
      const auto received = static_cast<std::uint64_t>(std::min(load, limit) * seconds);
      nlohmann::json one{{"seconds", seconds},   {"paused_seconds", 0}, {"intended", sent}, {"sent", sent},
                         {"received", received}, {"duplicates", 0},     {"reordered", 0},   {"too_late", 0}};
      if (order.latency) {
        one["latency"] = {{"count", received}, {"min_ns", 1000}, {"mean_ns", 2000},
                          {"p50_ns", 2000},    {"p90_ns", 3000}, {"p99_ns", 4000 + i},
                          {"p99.9_ns", 5000},  {"max_ns", 6000}, {"percentiles", {{0, 1000}, {100, 6000}}},
                          {"hdr_v2", "HISTF"}};
      }
      directions.push_back(std::move(one));
    }
    return read_trial(order, {{"directions", directions}});
  }

  std::vector<std::string> prepared;
};

CampaignOptions options(bool bidirectional) {
  CampaignOptions result;
  result.mixes = {{"64", {64}}};
  result.bidirectional = bidirectional;
  result.rounds = 4;
  result.goals = {{.name = "NDR", .loss_ratio = 0}, {.name = "PDR", .loss_ratio = 0.005}};
  return result;
}

TEST(CampaignTest, RatiosStandTheMachinesMoods) {
  SimulatedLab lab;
  CampaignOptions quick = options(false);
  quick.goals.clear();
  std::vector<std::string> lines;
  const MixReport report =
      measure_mix(lab, quick.mixes[0], quick, [&](const std::string& line) { lines.push_back(line); });
  EXPECT_EQ(lab.prepared, std::vector<std::string>{"64"});
  EXPECT_EQ(report.receive_rate.rates.size(), 4u);
  for (const double ratio : report.receive_rate.ratios)
    EXPECT_NEAR(ratio, 0.1, 1e-6);
  EXPECT_TRUE(report.searches.empty());
  EXPECT_TRUE(report.latencies.empty());
  EXPECT_EQ(report.trials.size(), 8u);
  EXPECT_GE(lines.size(), 4u);
}

TEST(CampaignTest, SearchesAndMeasuresLatency) {
  for (const bool bidirectional : {false, true}) {
    SimulatedLab lab;
    const CampaignOptions wanted = options(bidirectional);
    const double directions = bidirectional ? 2 : 1;
    const MixReport report = measure_mix(lab, wanted.mixes[0], wanted, [](const std::string&) {});
    ASSERT_EQ(report.searches.size(), 2u);
    ASSERT_TRUE(report.searches[0].lower && report.searches[1].lower);
    EXPECT_NEAR(*report.searches[0].lower, 2e6 * directions, 0.02e6 * directions);
    EXPECT_NEAR(report.searches[1].throughput, 2e6 * directions, 0.02e6 * directions);
    ASSERT_EQ(report.latencies.size(), 4u);
    EXPECT_EQ(report.latencies[0].rate, 1000);
    EXPECT_NEAR(report.latencies[2].rate, 1e6, 0.02e6) << "half of the PDR in each direction";
    EXPECT_EQ(report.latencies[2].histograms.size(), directions);
    EXPECT_EQ(report.latencies[2].p99, bidirectional ? 4001 : 4000) << "the slower direction";
  }
}

TEST(TrialTest, WhatWasNotSentIsLost) {
  TrialResult result;
  result.directions = {{.seconds = 2, .intended = 100, .sent = 80, .received = 60, .latency = {}}};
  EXPECT_DOUBLE_EQ(result.loss_ratio(), 0.4);
  EXPECT_DOUBLE_EQ(result.receive_rate(), 30);
  EXPECT_DOUBLE_EQ(result.send_rate(), 40);
}

}  // namespace
}  // namespace patchbay::tools::bench
