#include "vswitch/wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>

#include "tests/unit/vswitch/memory_port.h"
#include "tests/unit/vswitch/recording_tap.h"
#include "vswitch/balance.h"

namespace patchbay::vswitch {
namespace {

using test::ethernet_frame;
using test::kHost1;
using test::kHost2;
using test::MemoryPort;
using test::RecordingTap;
using Outcome = Segment::Outcome;
using testing::IsEmpty;

class WireTest : public testing::Test {
 protected:
  void TearDown() override { EXPECT_THAT(imbalances(wire_.snapshot()), IsEmpty()); }

  Outcome forward(PortIndex from) { return wire_.forward(from, *space_); }

  std::unique_ptr<Workspace> space_ = std::make_unique<Workspace>();
  MemoryPort a_{"h1:eth1"}, b_{"h2:eth1"};
  Wire wire_{"h1--h2", {}};
  PortIndex at_a_ = wire_.attach(a_), at_b_ = wire_.attach(b_);
};

TEST_F(WireTest, DeliversEveryFrameUnchangedAndInOrder) {
  // Lengths around those of the header copy and of one and several tail pieces.
  for (const std::size_t size : {14u, 60u, 127u, 128u, 129u, 228u, 229u, 1514u})
    a_.send(ethernet_frame(kHost2, kHost1, size, static_cast<unsigned>(size)));
  const auto sent = a_.to_send;
  EXPECT_EQ(forward(at_a_), Outcome::progressed);
  ASSERT_EQ(b_.received.size(), sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i)
    EXPECT_EQ(b_.received[i].bytes, sent[i].bytes) << i;
  EXPECT_EQ(b_.pushes, std::vector<std::size_t>{8}) << "one push for the whole burst";
  EXPECT_EQ(a_.counters.in.frames.value(), 8u);
  EXPECT_EQ(a_.counters.in.bytes.value(), 14u + 60 + 127 + 128 + 129 + 228 + 229 + 1514);
  EXPECT_EQ(a_.counters.in.forwarded.value(), 8u);
  EXPECT_EQ(b_.counters.out.offered.value(), 8u);
  EXPECT_EQ(b_.counters.out.delivered.value(), 8u);
  EXPECT_TRUE(a_.to_send.empty());
}

TEST_F(WireTest, PassesReservedMulticastAndGroupSources) {
  for (std::uint64_t last = 0; last < 16; ++last)
    a_.send(ethernet_frame(0x0180'c200'0000 + last, kHost1));
  a_.send(ethernet_frame(kHost2, 0xffff'ffff'ffff));
  forward(at_a_);
  EXPECT_EQ(b_.received.size(), 17u);
}

TEST_F(WireTest, CarriesBothDirections) {
  a_.send(ethernet_frame(kHost2, kHost1));
  b_.send(ethernet_frame(kHost1, kHost2));
  forward(at_a_);
  forward(at_b_);
  EXPECT_EQ(a_.received.size(), 1u);
  EXPECT_EQ(b_.received.size(), 1u);
}

TEST_F(WireTest, IsIdleWithoutFramesAndReleasesNothing) {
  EXPECT_EQ(forward(at_a_), Outcome::idle);
  EXPECT_EQ(a_.releases, 0u);
}

TEST_F(WireTest, TakesAtMostOneBurstATime) {
  for (unsigned i = 0; i < 100; ++i)
    a_.send(ethernet_frame(kHost2, kHost1, 64, i));
  forward(at_a_);
  EXPECT_EQ(b_.received.size(), kBurstFrames);
  forward(at_a_);
  EXPECT_EQ(b_.received.size(), 100u);
}

TEST_F(WireTest, DropsFramesShorterThanAnEthernetHeader) {
  a_.send(ethernet_frame(kHost2, kHost1, 64, 1));
  a_.send(ethernet_frame(kHost2, kHost1, 13));
  a_.send(ethernet_frame(kHost2, kHost1, 64, 2));
  EXPECT_EQ(forward(at_a_), Outcome::progressed);
  EXPECT_EQ(b_.received.size(), 2u);
  EXPECT_EQ(a_.dropped_in(DropReason::too_short), 1u);
  EXPECT_EQ(a_.counters.in.frames.value(), 3u);
}

TEST_F(WireTest, DropsWhatFindsNoRoom) {
  for (unsigned i = 0; i < 5; ++i)
    a_.send(ethernet_frame(kHost2, kHost1, 64, i));
  b_.room = 3;
  EXPECT_EQ(forward(at_a_), Outcome::progressed);
  EXPECT_EQ(b_.received.size(), 3u);
  EXPECT_EQ(b_.dropped_out(DropReason::no_room), 2u);
  EXPECT_EQ(b_.counters.out.offered.value(), 5u);
  EXPECT_TRUE(a_.to_send.empty());
}

TEST_F(WireTest, DropsWhenNobodyIsAtTheOtherEnd) {
  wire_.detach(at_b_);
  a_.send(ethernet_frame(kHost2, kHost1));
  EXPECT_EQ(forward(at_a_), Outcome::progressed);
  EXPECT_EQ(a_.dropped_in(DropReason::no_destination), 1u);
}

TEST_F(WireTest, TakesTwoPortsAndNoThird) {
  MemoryPort c("h3:eth1");
  try {
    wire_.attach(c);
    FAIL() << "a wire has two ends";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(
        error.what(),
        "wire h1--h2: port h3:eth1 does not fit, 2 ports are attached already; use a bridge with room or "
        "detach a port first");
  }
  wire_.detach(at_a_);
  EXPECT_EQ(wire_.attach(c), at_a_);
  b_.send(ethernet_frame(kHost1, kHost2));
  forward(at_b_);
  EXPECT_EQ(c.received.size(), 1u);
  wire_.detach(at_a_);
}

TEST_F(WireTest, DropsInBothDirectionsWhileOneEndIsDown) {
  wire_.set_link(at_b_, false);
  EXPECT_FALSE(wire_.carrier(at_a_)) << "a cut cable is cut at both ends";
  EXPECT_FALSE(wire_.carrier(at_b_));
  a_.send(ethernet_frame(kHost2, kHost1));
  b_.send(ethernet_frame(kHost1, kHost2));
  forward(at_a_);
  forward(at_b_);
  EXPECT_EQ(b_.dropped_out(DropReason::link_down), 1u);
  EXPECT_EQ(b_.dropped_in(DropReason::link_down), 1u);
  EXPECT_TRUE(a_.received.empty() && b_.received.empty());

  wire_.set_link(at_b_, true);
  EXPECT_TRUE(wire_.carrier(at_a_));
  a_.send(ethernet_frame(kHost2, kHost1));
  forward(at_a_);
  EXPECT_EQ(b_.received.size(), 1u);
}

TEST_F(WireTest, ShowsEachFrameOnceAtEachTap) {
  RecordingTap tap_a, tap_b;
  wire_.set_tap(at_a_, &tap_a);
  wire_.set_tap(at_b_, &tap_b);
  a_.send(ethernet_frame(kHost2, kHost1, 200, 1));
  a_.send(ethernet_frame(kHost2, kHost1, 64, 2));
  const auto sent = a_.to_send;
  b_.room = 1;
  forward(at_a_);
  ASSERT_EQ(tap_a.seen.size(), 2u);
  ASSERT_EQ(tap_b.seen.size(), 1u) << "only what was delivered";
  EXPECT_EQ(tap_a.seen[0].direction, Direction::from_port);
  EXPECT_EQ(tap_b.seen[0].direction, Direction::to_port);
  EXPECT_EQ(tap_a.seen[0].bytes, sent[0].bytes);
  EXPECT_EQ(tap_b.seen[0].bytes, sent[0].bytes);
  EXPECT_NE(tap_a.seen[0].id, 0u);
  EXPECT_EQ(tap_a.seen[0].id, tap_b.seen[0].id);
  EXPECT_EQ(tap_a.seen[1].id, tap_a.seen[0].id + 1);

  wire_.set_tap(at_a_, nullptr);
  wire_.set_tap(at_b_, nullptr);
  a_.send(ethernet_frame(kHost2, kHost1));
  forward(at_a_);
  EXPECT_EQ(tap_a.seen.size(), 2u);
}

class LosslessWireTest : public WireTest {
 protected:
  LosslessWireTest() {
    wire_.detach(at_a_);
    wire_.detach(at_b_);
    at_a_ = lossless_.attach(a_);
    at_b_ = lossless_.attach(b_);
  }
  void TearDown() override { EXPECT_THAT(imbalances(lossless_.snapshot()), IsEmpty()); }
  Outcome forward(PortIndex from) { return lossless_.forward(from, *space_); }

  Wire lossless_{"h1--h2", {.lossless = true}};
};

TEST_F(LosslessWireTest, LeavesFramesWithTheirSourceUntilThereIsRoom) {
  for (unsigned i = 0; i < 5; ++i)
    a_.send(ethernet_frame(kHost2, kHost1, 64, i));
  const auto sent = a_.to_send;
  b_.room = 3;
  EXPECT_EQ(forward(at_a_), Outcome::progressed);
  EXPECT_EQ(a_.counters.in.frames.value(), 3u) << "a waiting frame is not in the switch yet";
  EXPECT_EQ(forward(at_a_), Outcome::stalled);
  EXPECT_EQ(a_.to_send.size(), 2u);
  EXPECT_THAT(imbalances(lossless_.snapshot()), IsEmpty()) << "while frames wait";
  b_.room = 10;
  EXPECT_EQ(forward(at_a_), Outcome::progressed);
  ASSERT_EQ(b_.received.size(), 5u);
  for (std::size_t i = 0; i < sent.size(); ++i)
    EXPECT_EQ(b_.received[i].bytes, sent[i].bytes) << i;
  EXPECT_EQ(b_.dropped_out(DropReason::no_room), 0u);
}

TEST_F(LosslessWireTest, ShowsWaitingFramesToTapsWhenTheyPass) {
  RecordingTap tap;
  lossless_.set_tap(at_a_, &tap);
  for (unsigned i = 0; i < 4; ++i)
    a_.send(ethernet_frame(kHost2, kHost1, 64, i));
  b_.room = 1;
  forward(at_a_);
  EXPECT_EQ(tap.seen.size(), 1u);
  forward(at_a_);
  EXPECT_EQ(tap.seen.size(), 1u);
  b_.room = 3;
  forward(at_a_);
  EXPECT_EQ(tap.seen.size(), 4u);
}

TEST_F(LosslessWireTest, DoesNotWaitForALinkThatIsDown) {
  lossless_.set_link(at_b_, false);
  a_.send(ethernet_frame(kHost2, kHost1));
  EXPECT_EQ(forward(at_a_), Outcome::progressed);
  EXPECT_EQ(b_.dropped_out(DropReason::link_down), 1u);
}

}  // namespace
}  // namespace patchbay::vswitch
