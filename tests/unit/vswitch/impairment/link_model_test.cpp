#include "vswitch/impairment/link_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace patchbay::vswitch {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr std::uint64_t kSeed = seed_of({"lab", "h1", "eth1"});
constexpr nanoseconds kNow = seconds(5);
constexpr unsigned kMany = 100'000;

TEST(LinkModel, DelaysExactly) {
  LinkModel model({.delay = milliseconds(10)}, kSeed);
  for (const std::uint32_t bytes : {60u, 1514u, 9514u})
    EXPECT_EQ(model.arrival(kNow, bytes), kNow + milliseconds(10));
}

TEST(LinkModel, JitterIsUniformAroundTheDelay) {
  LinkModel model({.delay = milliseconds(10), .jitter = milliseconds(2)}, kSeed);
  std::vector<double> delays;
  for (unsigned i = 0; i < kMany; ++i) {
    const auto arrival = model.arrival(kNow, 1514);
    ASSERT_TRUE(arrival);
    ASSERT_GE(*arrival, kNow + milliseconds(8));
    ASSERT_LE(*arrival, kNow + milliseconds(12));
    delays.push_back(std::chrono::duration<double, std::milli>(*arrival - kNow).count());
  }
  std::sort(delays.begin(), delays.end());
  for (const double quantile : {0.01, 0.25, 0.5, 0.75, 0.99})
    EXPECT_NEAR(delays[static_cast<std::size_t>(quantile * kMany)], 8 + 4 * quantile, 0.03) << quantile;
}

TEST(LinkModel, AsMuchJitterAsDelayNeverArrivesBeforeItWasSent) {
  LinkModel model({.delay = microseconds(5), .jitter = microseconds(5)}, kSeed);
  for (unsigned i = 0; i < kMany; ++i)
    ASSERT_GE(model.arrival(kNow, 60).value(), kNow);
}

TEST(LinkModel, LosesAndDuplicatesAsOftenAsAskedFor) {
  LinkModel model({.loss = 0.01, .duplicate = 0.1}, kSeed);
  std::array<unsigned, 3> seen{};
  for (unsigned i = 0; i < kMany; ++i)
    ++seen[model.copies()];
  // Standard deviations are 30 and 90.
  EXPECT_NEAR(seen[0], 0.01 * 0.9 * kMany, 150);
  EXPECT_NEAR(seen[2], 0.1 * 0.99 * kMany, 450);
}

TEST(LinkModel, CertaintyIsCertain) {
  LinkModel all({.loss = 1}, kSeed);
  LinkModel none({.delay = milliseconds(1)}, kSeed);
  for (unsigned i = 0; i < 1000; ++i) {
    ASSERT_EQ(all.copies(), 0u);
    ASSERT_EQ(none.copies(), 1u);
    ASSERT_FALSE(none.corrupted_bit(60));
  }
}

TEST(LinkModel, CorruptsAnyBit) {
  LinkModel model({.corrupt = 0.5}, kSeed);
  std::vector<unsigned> hits(64 * 8);
  unsigned corrupted = 0;
  for (unsigned i = 0; i < kMany; ++i) {
    if (const auto bit = model.corrupted_bit(64)) {
      ASSERT_LT(*bit, hits.size());
      ++hits[*bit];
      ++corrupted;
    }
  }
  EXPECT_NEAR(corrupted, kMany / 2, 800);
  EXPECT_GT(*std::min_element(hits.begin(), hits.end()), 40u);  // of 98 on average
}

TEST(LinkModel, ReorderedFramesSkipTheDelay) {
  LinkModel model({.delay = milliseconds(10), .reorder = 0.25}, kSeed);
  unsigned at_once = 0;
  for (unsigned i = 0; i < kMany; ++i) {
    const auto arrival = model.arrival(kNow, 1514).value();
    if (arrival == kNow) {
      ++at_once;
    } else {
      ASSERT_EQ(arrival, kNow + milliseconds(10));
    }
  }
  EXPECT_NEAR(at_once, kMany / 4, 700);
}

TEST(LinkModel, ARateSpacesFramesExactly) {
  LinkModel model({.delay = milliseconds(20), .rate_bits = 10'000'000, .queue_bytes = 1'000'000}, kSeed);
  // 1250 bytes are 10,000 bits: 1 ms each, and the first starts when its delay is over.
  for (int i = 1; i <= 100; ++i)
    ASSERT_EQ(model.arrival(kNow, 1250), kNow + milliseconds(20 + i));
  // The wire is idle again.
  EXPECT_EQ(model.arrival(kNow + seconds(1), 125), kNow + seconds(1) + milliseconds(20) + microseconds(100));
}

TEST(LinkModel, FractionsOfNanosecondsAddUp) {
  // 64 bytes take 0.512 ns.
  LinkModel model({.rate_bits = 1'000'000'000'000}, kSeed);
  nanoseconds last{0};
  for (int i = 0; i < 1000; ++i)
    last = model.arrival(kNow, 64).value();
  EXPECT_EQ(last, kNow + nanoseconds(512));
}

TEST(LinkModel, ASlowRateDoesNotOverflow) {
  LinkModel model({.rate_bits = 1000, .queue_bytes = ~std::uint64_t{0}}, kSeed);
  EXPECT_EQ(model.arrival(kNow, 65562), kNow + nanoseconds(524'496'000'000));
  EXPECT_EQ(model.arrival(kNow, 65562), kNow + nanoseconds(2 * 524'496'000'000));
}

TEST(LinkModel, JitterKeepsTheOrderWhereThereIsARate) {
  LinkModel model({.delay = milliseconds(5),
                   .jitter = milliseconds(5),
                   .rate_bits = 100'000'000,
                   .queue_bytes = 10'000'000},
                  kSeed);
  nanoseconds last{0};
  for (int i = 0; i < 1000; ++i) {
    const nanoseconds arrival = model.arrival(kNow + i * microseconds(200), 1250).value();
    EXPECT_GE(arrival - last, microseconds(100));
    last = arrival;
  }
}

TEST(LinkModel, TheQueueHasALimitAndTheDelayIsNotInIt) {
  LinkModel model({.delay = seconds(1), .rate_bits = 10'000'000, .queue_bytes = 10'000}, kSeed);
  // One on the wire, and eight in 10,000 bytes.
  for (int i = 0; i < 9; ++i)
    EXPECT_TRUE(model.arrival(kNow, 1250)) << i;
  EXPECT_FALSE(model.arrival(kNow, 1250));
  EXPECT_FALSE(model.arrival(kNow, 60)) << "tail drop, whatever the size";
  EXPECT_TRUE(model.arrival(kNow + milliseconds(1), 1250))
      << "one has left the queue, though none has arrived";
}

TEST(LinkModel, RunsAreRepeatable) {
  const Impairment impairment{.delay = milliseconds(5), .jitter = milliseconds(1), .loss = 0.1};
  LinkModel one(impairment, kSeed), two(impairment, kSeed), other(impairment, seed_of({"lab", "h1", "eth2"}));
  unsigned differences = 0;
  std::vector<unsigned> first;
  for (int i = 0; i < 1000; ++i) {
    first.push_back(one.copies());
    ASSERT_EQ(first.back(), two.copies());
    differences += first.back() != other.copies() ? 1U : 0U;
    ASSERT_EQ(one.arrival(kNow, 60), two.arrival(kNow, 60));
  }
  EXPECT_GT(differences, 0u);
  LinkModel loss({.loss = 0.1}, kSeed);
  std::vector<unsigned> before, after;
  for (int i = 0; i < 100; ++i)
    before.push_back(loss.copies());
  loss.configure(loss.impairment());
  for (int i = 0; i < 100; ++i)
    after.push_back(loss.copies());
  EXPECT_EQ(before, after) << "the sequence starts anew";
}

TEST(LinkModel, FramesDoNotWaitForThoseThatResetLetGo) {
  LinkModel model({.rate_bits = 1000}, kSeed);
  (void)model.arrival(kNow, 1250);  // 10 s
  model.configure({});
  EXPECT_EQ(model.arrival(kNow, 1250), kNow);
  model.configure({.rate_bits = 10'000'000});
  EXPECT_EQ(model.arrival(kNow, 1250), kNow + milliseconds(1));
}

TEST(SeedOf, TellsNamesApart) {
  EXPECT_NE(seed_of({"a", "bc"}), seed_of({"ab", "c"}));
}

}  // namespace
}  // namespace patchbay::vswitch
