#include "vswitch/host_tuning.h"

#include <gtest/gtest.h>

namespace patchbay::vswitch {
namespace {

using namespace std::chrono_literals;

TEST(HostTuningTest, PollsForTenTimesWhatAWakeUpCosts) {
  EXPECT_EQ(polling_time(11us, 2), 110us);
  EXPECT_EQ(polling_time(70us, 16), 700us);
}

TEST(HostTuningTest, KeepsPollingWithinBounds) {
  EXPECT_EQ(polling_time(0ns, 2), 50us);
  EXPECT_EQ(polling_time(3us, 2), 50us);
  EXPECT_EQ(polling_time(170us, 2), 1ms);
  EXPECT_EQ(polling_time(std::chrono::nanoseconds::max(), 2), 1ms);
}

TEST(HostTuningTest, DoesNotTakeTheOnlyProcessorFromThoseItWaitsFor) {
  EXPECT_EQ(polling_time(170us, 1), 50us);
}

TEST(HostTuningTest, MeasuresAWakeUp) {
  const std::chrono::nanoseconds wake_up = measure_wake_up();
  EXPECT_GT(wake_up, 100ns) << "no thread wakes faster: the sleeper was not asleep";
  EXPECT_LT(wake_up, 1s);
}

TEST(HostTuningTest, MeasuresOnce) {
  EXPECT_EQ(&host_tuning(), &host_tuning());
  EXPECT_GE(host_tuning().sleep_after, 50us);
  EXPECT_LE(host_tuning().sleep_after, 1ms);
}

}  // namespace
}  // namespace patchbay::vswitch
