#include "vswitch/poll_set.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <memory>

#include "tests/unit/vswitch/memory_port.h"
#include "vswitch/wire.h"

namespace patchbay::vswitch {
namespace {

using namespace std::chrono_literals;
using test::ethernet_frame;
using test::MemoryPort;

class PollSetTest : public testing::Test {
 protected:
  PollSetTest() {
    a_.wake_descriptor = event_.get();
    wire_.attach(a_);
    wire_.attach(b_);
    set_.add(wire_, 0, 0, now_);
  }
  bool pass_after(std::chrono::nanoseconds time) {
    now_ += time;
    return set_.pass(*space_, now_);
  }
  void signal() { ::eventfd_write(event_.get(), 1); }

  PollSet::Clock::time_point now_ = PollSet::Clock::now();
  std::unique_ptr<Workspace> space_ = std::make_unique<Workspace>();
  FileDescriptor event_{::eventfd(0, EFD_NONBLOCK)};
  MemoryPort a_{"a"}, b_{"b"};
  Wire wire_{"wire", {.lossless = true}};
  PollSet set_{{.sleep_after = 50us, .first_retry = 20us, .last_retry = 100us, .broken_retry = 1s}, -1};
};

TEST_F(PollSetTest, PollsUntilThePortHasBeenIdleForAWhile) {
  EXPECT_EQ(a_.disarms, 1u) << "polling starts with wake-ups off";
  EXPECT_FALSE(pass_after(40us));
  EXPECT_TRUE(set_.any_active());
  a_.send(ethernet_frame(1, 2));
  EXPECT_TRUE(pass_after(5us));
  EXPECT_FALSE(pass_after(49us));
  EXPECT_EQ(a_.arms, 0u);
  EXPECT_FALSE(pass_after(1us));
  EXPECT_EQ(a_.arms, 1u);
  EXPECT_FALSE(set_.any_active());
  EXPECT_TRUE(set_.any_resting());
}

TEST_F(PollSetTest, StaysAwakeIfFramesArriveWhileItArms) {
  a_.frames_at_arm = true;
  pass_after(60us);
  EXPECT_EQ(a_.arms, 1u);
  EXPECT_EQ(a_.disarms, 2u);
  EXPECT_TRUE(set_.any_active());
}

TEST_F(PollSetTest, WakesOnTheDescriptorAndNotOtherwise) {
  pass_after(60us);
  set_.wait(false, now_);
  EXPECT_FALSE(set_.any_active());
  signal();
  set_.wait(false, now_);
  EXPECT_TRUE(set_.any_active());
  EXPECT_EQ(a_.disarms, 2u);
  EXPECT_FALSE(set_.any_resting());
}

TEST_F(PollSetTest, ReportsAWakeUpThatCameBeforeItSlept) {
  signal();
  pass_after(60us);
  EXPECT_FALSE(set_.any_active());
  set_.wait(true, now_);
  EXPECT_TRUE(set_.any_active());
}

TEST_F(PollSetTest, IgnoresWakeUpsOfActivePorts) {
  signal();
  set_.wait(false, now_);
  pass_after(1us);
  EXPECT_TRUE(set_.any_active());
  EXPECT_FALSE(set_.any_resting());
  EXPECT_EQ(a_.disarms, 1u);
}

TEST_F(PollSetTest, NeverLetsAPortSleepThatCannotBeWoken) {
  set_.remove(wire_, 0);
  set_.add(wire_, 1, 0, now_);
  pass_after(10s);
  EXPECT_TRUE(set_.any_active());
  EXPECT_EQ(b_.arms, 0u);
}

TEST_F(PollSetTest, RetriesAStalledSourceLessAndLessOftenUntilItMoves) {
  a_.send(ethernet_frame(1, 2));
  b_.room = 0;
  pass_after(10us);
  EXPECT_TRUE(set_.any_active()) << "a destination that is full for a moment is tried again at once";
  pass_after(10us);
  EXPECT_FALSE(set_.any_active());
  EXPECT_EQ(a_.arms, 0u);

  for (const auto delay : {20us, 40us, 80us, 100us, 100us}) {
    set_.wait(false, now_ + delay - 1us);
    EXPECT_FALSE(set_.any_active()) << delay.count();
    now_ += delay;
    set_.wait(false, now_);
    EXPECT_TRUE(set_.any_active()) << delay.count();
    EXPECT_FALSE(pass_after(0us));
  }
  b_.room = 1;
  now_ += 100us;
  set_.wait(false, now_);
  EXPECT_TRUE(pass_after(0us));
  EXPECT_EQ(b_.received.size(), 1u);

  a_.send(ethernet_frame(1, 2));
  EXPECT_FALSE(pass_after(10us));
  EXPECT_TRUE(set_.any_active()) << "the back-off starts anew";
}

TEST_F(PollSetTest, SleepsUntilTheRetryIsDue) {
  a_.send(ethernet_frame(1, 2));
  a_.send(ethernet_frame(1, 2));
  b_.room = 1;
  now_ = PollSet::Clock::now();
  set_.pass(*space_, now_);  // the first frame moves
  ASSERT_TRUE(set_.any_active());
  set_.pass(*space_, now_ + 20us);
  ASSERT_FALSE(set_.any_active());
  while (!set_.any_active())
    set_.wait(true, PollSet::Clock::now());
  EXPECT_GE(PollSet::Clock::now() - now_, 40us);
}

TEST_F(PollSetTest, TurnsWakeUpsOffWhenASleepingPortIsRemoved) {
  pass_after(60us);
  set_.remove(wire_, 0);
  EXPECT_EQ(a_.disarms, 2u);
  signal();
  set_.wait(false, now_);
  EXPECT_FALSE(set_.any_active());
  EXPECT_FALSE(set_.any_resting());
  set_.remove(wire_, 0);  // not there: no effect
}

TEST_F(PollSetTest, BusyPortsTakeTurnsBurstByBurst) {
  set_.add(wire_, 1, 0, now_);
  for (unsigned i = 0; i < 200; ++i) {
    a_.send(ethernet_frame(1, 2, 64, i));
    b_.send(ethernet_frame(2, 1, 64, i));
  }
  pass_after(1us);
  EXPECT_EQ(a_.received.size(), kBurstFrames);
  EXPECT_EQ(b_.received.size(), kBurstFrames);
}

TEST_F(PollSetTest, RefusesADescriptorThatCannotBeWatched) {
  MemoryPort broken("broken");
  broken.wake_descriptor = 1'000'000;
  Wire wire("other", {});
  wire.attach(broken);
  EXPECT_THROW(set_.add(wire, 0, 0, now_), std::system_error);
}

}  // namespace
}  // namespace patchbay::vswitch
