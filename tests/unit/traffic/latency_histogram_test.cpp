#include "vswitch/traffic/latency_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace patchbay::vswitch::traffic {
namespace {

TEST(LatencyHistogramTest, EmptyHasNoFigures) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.min(), 0);
  EXPECT_EQ(histogram.max(), 0);
  EXPECT_EQ(histogram.percentile(50), 0);
  EXPECT_EQ(histogram.mean(), 0);
}

TEST(LatencyHistogramTest, SmallValuesAreExact) {
  LatencyHistogram histogram;
  for (std::int64_t i = 1; i <= 1000; ++i)
    histogram.record(i);
  EXPECT_EQ(histogram.min(), 1);
  EXPECT_EQ(histogram.max(), 1000);
  EXPECT_EQ(histogram.percentile(50), 500);
  EXPECT_EQ(histogram.percentile(99.9), 999);
  EXPECT_EQ(histogram.percentile(0), 1);
  EXPECT_DOUBLE_EQ(histogram.mean(), 500.5);
}

TEST(LatencyHistogramTest, PercentilesAreWithinATenthOfAPercent) {
  std::mt19937_64 random(2);
  std::lognormal_distribution<double> distribution(10, 2);
  LatencyHistogram histogram;
  std::vector<std::int64_t> values;
  for (int i = 0; i < 100'000; ++i) {
    values.push_back(std::min<std::int64_t>(static_cast<std::int64_t>(distribution(random)), 59'000'000'000));
    histogram.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double percentile : {1.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
    const auto rank =
        static_cast<std::size_t>(std::ceil(percentile * static_cast<double>(values.size()) / 100 - 1e-6));
    const auto exact = static_cast<double>(values[rank - 1]);
    EXPECT_NEAR(static_cast<double>(histogram.percentile(percentile)), exact, exact / 1000 + 1) << percentile;
  }
}

TEST(LatencyHistogramTest, ValuesOutsideTheRangeAreClamped) {
  LatencyHistogram histogram;
  histogram.record(-5);
  histogram.record(INT64_MAX);
  EXPECT_EQ(histogram.count(), 2u);
  EXPECT_EQ(histogram.min(), 0);
  EXPECT_GE(histogram.max(), LatencyHistogram::kHighest);
}

TEST(LatencyHistogramTest, AddsAndForgets) {
  LatencyHistogram a, b;
  a.record(10);
  b.record(1'000'000, 3);
  a.add(b);
  EXPECT_EQ(a.count(), 4u);
  EXPECT_EQ(a.min(), 10);
  EXPECT_EQ(a.percentile(100), b.max());
  a.reset();
  EXPECT_EQ(a.count(), 0u);
  EXPECT_EQ(a.max(), 0);
}

TEST(LatencyHistogramTest, EncodesAsTheFamilyDoes) {
  LatencyHistogram histogram;
  histogram.record(3);
  histogram.record(3);
  // 0x1c849314, then what zlib makes of a payload with the cookie 0x1c849313.
  const std::string text = histogram.encode();
  EXPECT_EQ(text.substr(0, 5), "HISTF");
  EXPECT_EQ(text.size() % 4, 0u);
}

}  // namespace
}  // namespace patchbay::vswitch::traffic
