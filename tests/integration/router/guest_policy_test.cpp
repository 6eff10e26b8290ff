// Parts of the appliance that decide something by themselves: command line, idle polling, back-pressure,
// time.

#include <gtest/gtest.h>

#include "appliances/router/guest/clock.h"
#include "appliances/router/guest/command_line.h"
#include "appliances/router/guest/idle_polling.h"
#include "appliances/router/guest/transmit_hold.h"

namespace patchbay::router::guest {
namespace {

TEST(CommandLine, FindsValuesByWholeKey) {
  const CommandLine line("ecam=0xe0000000  tsc_khz=2600000 nics=eth0,eth1 x wait=");
  EXPECT_EQ(line.value("nics"), "eth0,eth1");
  EXPECT_EQ(line.value("wait"), "");
  EXPECT_EQ(line.value("x"), "");
  EXPECT_EQ(line.value("khz"), "");
  EXPECT_EQ(line.value("tsc"), "");
  EXPECT_EQ(CommandLine("").value("nics"), "");
}

TEST(CommandLine, LastOfSeveralCounts) {
  EXPECT_EQ(CommandLine("wait=1 wait=2").value("wait"), "2");
}

TEST(CommandLine, ReadsNumbersInBothBases) {
  const CommandLine line("ecam=0xe0000000 tsc_khz=2600000 bad=0x12g worse=-1 none=");
  EXPECT_EQ(line.number("ecam", 1), 0xE000'0000U);
  EXPECT_EQ(line.number("tsc_khz", 1), 2'600'000U);
  EXPECT_EQ(line.number("bad", 7), 7U);
  EXPECT_EQ(line.number("worse", 7), 7U);
  EXPECT_EQ(line.number("none", 7), 7U);
  EXPECT_EQ(line.number("absent", 7), 7U);
}

TEST(IdlePolling, ShrinksWhenPollingIsInVainAndGrowsWhenItPays) {
  IdlePolling idle;
  Nanoseconds now = kSecond;
  const auto limit = [&] {  // how long it polls from here
    idle.worked(now);
    const Nanoseconds start = now;
    while (!idle.exhausted(now))
      now += 100;
    return now - start;
  };
  EXPECT_EQ(limit(), IdlePolling::kMax);
  idle.slept();
  EXPECT_EQ(limit(), IdlePolling::kMax / 2);
  for (int i = 0; i < 20; ++i)
    idle.slept();
  EXPECT_EQ(limit(), IdlePolling::kMin);
  // limit() polled: the work that ends it counts as found by polling.
  EXPECT_EQ(limit(), 2 * IdlePolling::kMin);
  for (int i = 0; i < 20; ++i)
    limit();
  EXPECT_EQ(limit(), IdlePolling::kMax);
}

TEST(TransmitHold, HoldsWhileAFullRingDrains) {
  TransmitHold hold;
  Nanoseconds now = 0;
  EXPECT_FALSE(hold.wanted(kBurstPackets, 256, now));
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(hold.wanted(kBurstPackets - 1, 256, now));
    now += TransmitHold::kLongest - 1;
    EXPECT_TRUE(hold.wanted(0, 256, now));
    EXPECT_FALSE(hold.wanted(kBurstPackets, 256, now));  // progress: the next hold starts anew
  }
}

TEST(TransmitHold, GivesUpOnAnOutputThatIsStuckUntilHalfOfItIsFree) {
  TransmitHold hold;
  EXPECT_TRUE(hold.wanted(0, 256, 0));
  EXPECT_FALSE(hold.wanted(0, 256, TransmitHold::kLongest));
  EXPECT_FALSE(hold.wanted(0, 256, 10 * TransmitHold::kLongest));
  EXPECT_FALSE(hold.wanted(127, 256, 11 * TransmitHold::kLongest));
  EXPECT_FALSE(hold.wanted(0, 256, 12 * TransmitHold::kLongest));
  EXPECT_FALSE(hold.wanted(128, 256, 13 * TransmitHold::kLongest));
  EXPECT_TRUE(hold.wanted(0, 256, 14 * TransmitHold::kLongest));
}

TEST(Clock, ConvertsBothWays) {
  constexpr std::uint64_t kKhz = 2'596'100;
  const Clock clock(read_tsc() - 10'000 * kKhz, kKhz);  // started 10 s ago
  const Nanoseconds now = clock.now();
  EXPECT_GE(now, 10 * kSecond - kMillisecond);
  EXPECT_LT(now, 20 * kSecond);
  EXPECT_EQ(clock.tsc_at(kNever), 0U);
  const std::uint64_t before = read_tsc();
  const std::uint64_t deadline = clock.tsc_at(clock.now() + 5 * kSecond);
  EXPECT_GE(deadline + kKhz, before + 5'000 * kKhz);
  EXPECT_LE(deadline, read_tsc() + 5'000 * kKhz + kKhz);
  const std::uint64_t past = clock.tsc_at(clock.now() - kSecond);
  EXPECT_LE(past, read_tsc());
  const std::uint64_t latest = clock.tsc_at(kNever - 1);  // in an hour
  EXPECT_LE(latest, read_tsc() + 3'600'000 * kKhz);
}

}  // namespace
}  // namespace patchbay::router::guest
