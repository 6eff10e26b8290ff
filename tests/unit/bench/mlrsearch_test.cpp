// MLRsearch against simulated systems, quiet and noisy.
#include "tools/bench/mlrsearch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace patchbay::tools::bench {
namespace {

const SearchGoal kNdr{.name = "NDR", .loss_ratio = 0};
const SearchGoal kPdr{.name = "PDR", .loss_ratio = 0.005};
const SearchLimits kLimits{.min_load = 1e3, .max_load = 20e6};

TrialSample good(double duration = 1) {
  return {duration, 0};
}
TrialSample bad(double duration = 1) {
  return {duration, 0.1};
}
std::vector<TrialSample> several(std::size_t good_ones, std::size_t bad_ones) {
  std::vector<TrialSample> trials(good_ones, good());
  trials.insert(trials.end(), bad_ones, bad());
  return trials;
}

TEST(MlrClassifyTest, MostOfTheSumDecides) {
  EXPECT_EQ(classify(kNdr, {}), LoadClass::undecided);
  EXPECT_EQ(classify(kNdr, several(10, 0)), LoadClass::undecided);
  EXPECT_EQ(classify(kNdr, several(11, 0)), LoadClass::lower_bound);
  EXPECT_EQ(classify(kNdr, several(11, 10)), LoadClass::lower_bound);
  EXPECT_EQ(classify(kNdr, several(10, 10)), LoadClass::undecided);
  EXPECT_EQ(classify(kNdr, several(0, 10)), LoadClass::undecided);
  EXPECT_EQ(classify(kNdr, several(0, 11)), LoadClass::upper_bound);
}

TEST(MlrClassifyTest, ShortTrialsSpeakOnlyAgainstALoad) {
  EXPECT_EQ(classify(kNdr, std::vector(100, good(0.5))), LoadClass::undecided);
  EXPECT_EQ(classify(kNdr, std::vector(22, bad(0.5))), LoadClass::upper_bound);
  std::vector<TrialSample> balanced(22, bad(0.5));
  balanced.insert(balanced.end(), 22, good(0.5));
  EXPECT_EQ(classify(kNdr, balanced), LoadClass::undecided);
}

TEST(MlrClassifyTest, TheGoalsLossRatioIsAllowed) {
  const std::vector<TrialSample> trials(11, TrialSample{1, 0.005});
  EXPECT_EQ(classify(kPdr, trials), LoadClass::lower_bound);
  EXPECT_EQ(classify(kNdr, trials), LoadClass::upper_bound);
}

TEST(MlrThroughputTest, IsByTheTrialThatStandsForAll) {
  EXPECT_DOUBLE_EQ(conditional_throughput(kPdr, 100, several(11, 10)), 100);
  std::vector<TrialSample> trials;
  for (int i = 0; i < 21; ++i)
    trials.push_back({1, 0.001 * i});
  EXPECT_NEAR(conditional_throughput(kPdr, 100, trials), 100 * (1 - 0.010), 1e-9);
  EXPECT_DOUBLE_EQ(conditional_throughput(kPdr, 100, several(5, 0)), 0) << "half of the sum is not measured";
}

/// Forwards `capacity` frames per second and loses the rest.
struct Device {
  double capacity = 0;
  double noise = 0;        // relative standard deviation of the capacity from trial to trial
  double disturbed = 0;    // share of trials in which a tenth of the frames is lost
  double always_lost = 0;  // share of frames lost at any load
  std::mt19937_64 random{1};
  double spent = 0;
  unsigned trials = 0;

  TrialSample operator()(double load, double duration) {
    spent += duration;
    ++trials;
    std::normal_distribution<double> spread(1, noise > 0 ? noise : 1e-9);
    std::uniform_real_distribution<double> luck;
    double forwarded = std::min(load, capacity * spread(random)) * (1 - always_lost);
    if (luck(random) < disturbed) forwarded *= 0.9;
    return {duration, std::clamp(1 - forwarded / load, 0.0, 1.0)};
  }
};

std::vector<GoalResult> search(Device& device, const SearchLimits& limits = kLimits) {
  const std::vector<SearchGoal> goals{kNdr, kPdr};
  return mlrsearch(goals, limits, std::ref(device));
}

TEST(MlrSearchTest, AQuietDeviceIsFoundToTheWidth) {
  for (const double capacity : {2e3, 123'456.0, 1e6, 19e6}) {
    Device device{.capacity = capacity};
    const auto results = search(device);
    ASSERT_TRUE(results[0].lower && results[0].upper) << capacity;
    EXPECT_LE(*results[0].lower, capacity * 1.0001);
    EXPECT_GE(*results[0].upper, capacity);
    EXPECT_LE(*results[0].upper / *results[0].lower, 1.0051);
    EXPECT_DOUBLE_EQ(results[0].throughput, *results[0].lower);
    ASSERT_TRUE(results[1].lower && results[1].upper);
    const double pdr = capacity / 0.995;  // where 0.5 % are lost
    EXPECT_LE(*results[1].lower, pdr * 1.0001);
    EXPECT_GE(*results[1].upper, pdr * 0.9999);
    EXPECT_LT(device.spent, 120) << capacity;
  }
}

TEST(MlrSearchTest, MaxLoadItselfMayBeFine) {
  Device device{.capacity = 30e6};
  const auto results = search(device);
  EXPECT_EQ(results[0].lower, kLimits.max_load);
  EXPECT_FALSE(results[0].upper);
  EXPECT_DOUBLE_EQ(results[0].throughput, kLimits.max_load);
}

TEST(MlrSearchTest, ADeviceThatAlwaysLosesHasNoNdr) {
  Device device{.capacity = 1e6, .always_lost = 0.001};
  const auto results = search(device);
  EXPECT_FALSE(results[0].lower);
  EXPECT_EQ(results[0].upper, kLimits.min_load);
  EXPECT_EQ(results[0].throughput, 0);
  ASSERT_TRUE(results[1].lower);
  EXPECT_NEAR(*results[1].lower, 1e6, 0.01e6);
  EXPECT_LT(device.spent, 400);
}

TEST(MlrSearchTest, DisturbedTrialsDoNotDecide) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Device device{.capacity = 3e6, .disturbed = 0.2, .random = std::mt19937_64(seed)};
    const auto results = search(device);
    for (const GoalResult& result : results) {
      ASSERT_TRUE(result.lower) << seed;
      EXPECT_NEAR(*result.lower, 3e6, 0.03e6) << seed;
    }
    EXPECT_LT(device.spent, 300) << seed;
  }
}

TEST(MlrSearchTest, ANoisyCapacityIsFoundWithinItsNoise) {
  std::vector<double> found;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Device device{.capacity = 3e6, .noise = 0.02, .random = std::mt19937_64(seed)};
    const auto results = search(device);
    ASSERT_TRUE(results[0].lower && results[1].lower) << seed;
    EXPECT_NEAR(*results[0].lower, 3e6, 0.12e6) << seed;
    found.push_back(*results[0].lower);
    EXPECT_LT(device.trials, 500u) << seed;
  }
  const auto [least, most] = std::minmax_element(found.begin(), found.end());
  EXPECT_LT(*most / *least, 1.06) << "repeatable to about the noise";
}

TEST(MlrSearchTest, EndsWhenItsTimeIsUp) {
  SearchLimits limits = kLimits;
  limits.max_seconds = 10;
  Device device{.capacity = 1e6};
  const auto results = search(device, limits);
  EXPECT_LE(device.spent, 11);
  EXPECT_FALSE(results[0].lower) << "eleven good trials do not fit into ten seconds";
}

TEST(MlrSearchTest, ShorterFirstTrials) {
  SearchGoal goal = kNdr;
  goal.initial_trial_duration = 0.1;
  goal.final_trial_duration = 2;
  Device device{.capacity = 5e6};
  const auto results = mlrsearch(std::vector{goal}, kLimits, std::ref(device));
  ASSERT_TRUE(results[0].lower);
  EXPECT_NEAR(*results[0].lower, 5e6, 0.03e6);
  EXPECT_LT(device.spent, 80);
}

}  // namespace
}  // namespace patchbay::tools::bench
