#include "vswitch/traffic/pacer.h"

#include <gtest/gtest.h>

namespace patchbay::vswitch::traffic {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;

TEST(PacerTest, FramesAreDueOneByOne) {
  Pacer pacer;
  pacer.start(1000, 100'000, 10 * kMillisecond);
  EXPECT_EQ(pacer.intended(), 1000u);
  EXPECT_EQ(pacer.due(1000, false), 1u);
  EXPECT_EQ(pacer.due(1000 + 9'999, false), 1u);
  EXPECT_EQ(pacer.due(1000 + 10'000, false), 2u);
  std::int64_t now = 1000;
  for (int i = 0; i < 100; ++i)
    (void)pacer.due(now += 100'000, false);
  EXPECT_EQ(pacer.due(now, false), 1000u) << "no more than intended";
  EXPECT_EQ(pacer.active(now), 10 * kMillisecond);
  EXPECT_EQ(pacer.paused(), 0);
}

TEST(PacerTest, TheScheduleStandsStillWhileTheMachineDoes) {
  Pacer pacer;
  pacer.start(0, 1'000'000, 100 * kMillisecond);
  EXPECT_EQ(pacer.due(100'000, false), 101u);
  EXPECT_EQ(pacer.due(5'100'000, false), 101u);
  EXPECT_EQ(pacer.paused(), 5 * kMillisecond);
  EXPECT_EQ(pacer.due(5'200'000, false), 201u);
  EXPECT_EQ(pacer.active(5'200'000), 200'000);
}

TEST(PacerTest, WaitingForRoomIsNoPause) {
  Pacer pacer;
  pacer.start(0, 1'000'000, 100 * kMillisecond);
  (void)pacer.due(100'000, false);
  EXPECT_EQ(pacer.due(5'100'000, true), 5101u);
  EXPECT_EQ(pacer.paused(), 0);
}

TEST(PacerTest, WithoutARateEverythingIsDue) {
  Pacer pacer;
  pacer.start(0, 0, kMillisecond);
  EXPECT_EQ(pacer.due(1, false), UINT64_MAX);
  EXPECT_EQ(pacer.intended(), 0u);
}

}  // namespace
}  // namespace patchbay::vswitch::traffic
