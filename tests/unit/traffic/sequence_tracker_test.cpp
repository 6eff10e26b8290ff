#include "vswitch/traffic/sequence_tracker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

namespace patchbay::vswitch::traffic {
namespace {

constexpr std::uint64_t kNoLimit = UINT64_MAX;

TEST(SequenceTrackerTest, InOrder) {
  SequenceTracker tracker;
  tracker.reset(1000);
  for (std::uint64_t i = 0; i < 1000; ++i)
    tracker.record(i);
  EXPECT_EQ(tracker.unique(), 1000u);
  EXPECT_EQ(tracker.duplicates() + tracker.reordered() + tracker.too_late() + tracker.invalid(), 0u);
  tracker.record(1000);
  EXPECT_EQ(tracker.invalid(), 1u);
  EXPECT_EQ(tracker.unique(), 1000u);
}

TEST(SequenceTrackerTest, AgreesWithASetUnderLossReorderingAndDuplication) {
  std::mt19937_64 random(1);
  SequenceTracker tracker;
  for (const unsigned spread : {1u, 3u, 64u, 1000u, 100'000u}) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> arrivals;  // by time
    for (std::uint64_t i = 0; i < 200'000; ++i) {
      const std::uint64_t fate = random() % 10;
      if (fate == 0) continue;
      for (std::uint64_t copies = fate == 1 ? 2 : 1; copies > 0; --copies)
        arrivals.emplace_back(i + random() % spread, i);
    }
    std::stable_sort(arrivals.begin(), arrivals.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    tracker.reset(kNoLimit);
    std::set<std::uint64_t> seen;
    std::uint64_t duplicates = 0, reordered = 0;
    for (const auto& [time, sequence] : arrivals) {
      if (!seen.insert(sequence).second) {
        ++duplicates;
      } else if (*seen.rbegin() > sequence) {
        ++reordered;
      }
      tracker.record(sequence);
    }
    EXPECT_EQ(tracker.unique(), seen.size()) << spread;
    EXPECT_EQ(tracker.duplicates(), duplicates) << spread;
    EXPECT_EQ(tracker.reordered(), reordered) << spread;
    EXPECT_EQ(tracker.too_late(), 0u);
  }
}

TEST(SequenceTrackerTest, LeapsAndTheEdgeOfTheWindow) {
  constexpr std::uint64_t kWindow = SequenceTracker::kWindow;
  SequenceTracker tracker;
  tracker.reset(kNoLimit);
  tracker.record(5);
  tracker.record(5 + kWindow);
  tracker.record(6);  // just inside
  EXPECT_EQ(tracker.unique(), 3u);
  EXPECT_EQ(tracker.reordered(), 1u);
  tracker.record(5);  // just outside
  EXPECT_EQ(tracker.too_late(), 1u);
  EXPECT_EQ(tracker.duplicates(), 0u);
  // A leap over the whole window forgets all of it.
  tracker.record(10 * kWindow + 3);
  tracker.record(10 * kWindow + 2);
  tracker.record(9 * kWindow + 70);
  EXPECT_EQ(tracker.unique(), 6u);
  EXPECT_EQ(tracker.duplicates(), 0u);
  tracker.record(10 * kWindow + 3);
  EXPECT_EQ(tracker.duplicates(), 1u);
}

TEST(SequenceTrackerTest, ResetForgets) {
  SequenceTracker tracker;
  tracker.reset(kNoLimit);
  for (std::uint64_t i = 0; i < 300; ++i)
    tracker.record(i);
  tracker.reset(kNoLimit);
  tracker.record(100);  // within a word that holds bits of before
  tracker.record(64);
  tracker.record(0);
  EXPECT_EQ(tracker.unique(), 3u);
  EXPECT_EQ(tracker.duplicates(), 0u);
}

}  // namespace
}  // namespace patchbay::vswitch::traffic
