#include "vswitch/bridge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <random>

#include "tests/unit/vswitch/memory_port.h"
#include "tests/unit/vswitch/recording_tap.h"
#include "vswitch/balance.h"

namespace patchbay::vswitch {
namespace {

using test::Bytes;
using test::ethernet_frame;
using test::MemoryPort;
using test::RecordingTap;
using testing::IsEmpty;

constexpr std::uint64_t kBroadcast = 0xffff'ffff'ffff;
constexpr std::uint64_t host(std::uint64_t n) {
  return 0x0200'0000'0000 + n;
}

class BridgeTest : public testing::Test {
 protected:
  BridgeTest() {
    space_->now = 1000;
    for (int i = 0; i < 4; ++i)
      add_port();
  }
  void TearDown() override { EXPECT_THAT(imbalances(bridge_.snapshot()), IsEmpty()); }

  MemoryPort& add_port() {
    ports_.emplace_back("h" + std::to_string(ports_.size()) + ":eth1");
    bridge_.attach(ports_.back());
    return ports_.back();
  }
  void forward(std::size_t from) { bridge_.forward(static_cast<PortIndex>(from), *space_); }
  /// Sends one frame through the bridge.
  void send(std::size_t from_port, std::uint64_t to, std::uint64_t from, unsigned seed = 0) {
    ports_[from_port].send(ethernet_frame(to, from, 64, seed));
    forward(from_port);
  }
  [[nodiscard]] std::vector<std::size_t> received() const {
    std::vector<std::size_t> counts;
    for (const MemoryPort& port : ports_)
      counts.push_back(port.received.size());
    return counts;
  }
  using Counts = std::vector<std::size_t>;

  std::unique_ptr<Workspace> space_ = std::make_unique<Workspace>();
  std::deque<MemoryPort> ports_;
  Bridge bridge_{"lan", {}};
};

TEST_F(BridgeTest, FloodsUnknownDestinationsToAllOtherPorts) {
  send(0, host(9), host(0));
  EXPECT_EQ(received(), (Counts{0, 1, 1, 1}));
  EXPECT_EQ(ports_[0].counters.in.forwarded.value(), 1u);
  EXPECT_EQ(ports_[0].counters.in.copies.value(), 3u);
}

TEST_F(BridgeTest, FloodsBroadcastAndMulticast) {
  send(0, kBroadcast, host(0));
  send(0, 0x0100'5e00'00fb, host(0));
  send(0, 0x0180'c200'0010, host(0));  // just past the reserved block
  send(0, 0x0180'c200'0100, host(0));
  EXPECT_EQ(received(), (Counts{0, 4, 4, 4}));
}

TEST_F(BridgeTest, SendsToTheOnePortWhereTheDestinationWasSeen) {
  send(2, kBroadcast, host(2));
  send(0, host(2), host(0));
  EXPECT_EQ(received(), (Counts{1, 1, 1, 1}));
  EXPECT_EQ(ports_[2].received[0].bytes, ethernet_frame(host(2), host(0)));
  EXPECT_EQ(bridge_.learning().added.value(), 2u);
}

TEST_F(BridgeTest, DropsReservedAddressesButLearnsTheirSource) {
  for (std::uint64_t last = 0; last < 16; ++last)
    send(0, 0x0180'c200'0000 + last, host(0));
  EXPECT_EQ(received(), (Counts{0, 0, 0, 0}));
  EXPECT_EQ(ports_[0].dropped_in(DropReason::reserved_multicast), 16u);
  EXPECT_EQ(bridge_.mac_entries(1000).size(), 1u);
}

TEST_F(BridgeTest, DropsGroupAndZeroSourcesWithoutLearning) {
  send(0, host(1), kBroadcast);
  send(0, host(1), 0x0100'5e00'0001);
  send(0, host(1), 0);
  EXPECT_EQ(ports_[0].dropped_in(DropReason::bad_source_mac), 3u);
  EXPECT_EQ(received(), (Counts{0, 0, 0, 0}));
  EXPECT_THAT(bridge_.mac_entries(1000), IsEmpty());
}

TEST_F(BridgeTest, DropsFramesForTheirOwnPort) {
  send(0, kBroadcast, host(5));
  send(0, kBroadcast, host(6));
  send(0, host(5), host(6));
  EXPECT_EQ(ports_[0].dropped_in(DropReason::same_port), 1u);
  EXPECT_EQ(received(), (Counts{0, 2, 2, 2}));
}

TEST_F(BridgeTest, FollowsAMovedAddress) {
  send(1, kBroadcast, host(1));
  send(3, kBroadcast, host(1));
  send(0, host(1), host(0));
  EXPECT_EQ(received(), (Counts{2, 1, 2, 2}));
  EXPECT_EQ(bridge_.learning().moved.value(), 1u);
}

TEST_F(BridgeTest, FloodsAgainWhenTheAddressIsTooOld) {
  send(1, kBroadcast, host(1));
  space_->now += 300;
  send(0, host(1), host(0));
  EXPECT_EQ(received(), (Counts{1, 1, 1, 1}));
  space_->now += 1;
  send(0, host(1), host(0));
  EXPECT_EQ(received(), (Counts{1, 2, 2, 2}));
}

TEST_F(BridgeTest, PushesOncePerDestinationAndKeepsTheOrderOfUnicastAndFlooded) {
  send(1, kBroadcast, host(1));
  send(2, kBroadcast, host(2));
  for (MemoryPort& port : ports_) {
    port.received.clear();
    port.pushes.clear();
  }
  const std::vector<std::uint64_t> destinations{host(1),  host(2),    kBroadcast, host(1),
                                                host(77), kBroadcast, host(2),    host(1)};
  for (unsigned i = 0; i < destinations.size(); ++i)
    ports_[0].send(ethernet_frame(destinations[i], host(0), 64, i));
  forward(0);

  const auto seeds = [](const MemoryPort& port) {
    std::vector<unsigned> result;
    for (const auto& frame : port.received)
      result.push_back((std::to_integer<unsigned>(frame.bytes[20]) - 20 * 7) & 0xff);
    return result;
  };
  EXPECT_EQ(seeds(ports_[1]), (std::vector<unsigned>{0, 2, 3, 4, 5, 7}));
  EXPECT_EQ(seeds(ports_[2]), (std::vector<unsigned>{1, 2, 4, 5, 6}));
  EXPECT_EQ(seeds(ports_[3]), (std::vector<unsigned>{2, 4, 5}));
  EXPECT_EQ(ports_[1].pushes, Counts{6});
  EXPECT_EQ(ports_[2].pushes, Counts{5});
  EXPECT_EQ(ports_[0].counters.in.forwarded.value(), 8u);
  EXPECT_EQ(ports_[0].counters.in.copies.value(), 14u);
}

TEST_F(BridgeTest, TrainsOfOneBurstTakeTheirOwnWays) {
  send(1, kBroadcast, host(1));
  send(2, kBroadcast, host(2));
  send(0, kBroadcast, host(7));
  for (MemoryPort& port : ports_)
    port.received.clear();
  const auto train = [&](std::size_t frames, std::uint64_t to, std::uint64_t from) {
    for (std::size_t i = 0; i < frames; ++i)
      ports_[0].send(ethernet_frame(to, from, 64, static_cast<unsigned>(i)));
  };
  train(3, host(1), host(0));
  train(2, 0x0180'c200'0000, host(0));  // never relayed
  train(4, host(1), 0x0100'5e00'0001);  // no station sends so
  train(2, host(2), host(0));
  train(5, host(7), host(0));  // behind the port that it comes from
  train(1, host(1), host(3));
  train(2, host(9), host(0));  // unknown
  train(1, host(1), host(0));
  forward(0);
  EXPECT_EQ(received(), (Counts{0, 7, 4, 2}));
  EXPECT_EQ(ports_[0].dropped_in(DropReason::reserved_multicast), 2u);
  EXPECT_EQ(ports_[0].dropped_in(DropReason::bad_source_mac), 4u);
  EXPECT_EQ(ports_[0].dropped_in(DropReason::same_port), 5u);
  std::vector<Bytes> in_order;
  for (unsigned i = 0; i < 3; ++i)
    in_order.push_back(ethernet_frame(host(1), host(0), 64, i));
  in_order.push_back(ethernet_frame(host(1), host(3), 64, 0));
  in_order.push_back(ethernet_frame(host(9), host(0), 64, 0));
  in_order.push_back(ethernet_frame(host(9), host(0), 64, 1));
  in_order.push_back(ethernet_frame(host(1), host(0), 64, 0));
  for (std::size_t i = 0; i < in_order.size(); ++i)
    EXPECT_EQ(ports_[1].received[i].bytes, in_order[i]) << i;
  EXPECT_EQ(bridge_.mac_entries(1000).size(), 5u);
}

TEST_F(BridgeTest, KeepsTheOrderOfAWholeBurstToTwoPorts) {
  send(1, kBroadcast, host(1));
  send(2, kBroadcast, host(2));
  for (MemoryPort& port : ports_)
    port.received.clear();
  for (unsigned i = 0; i < kBurstFrames; ++i)
    ports_[0].send(ethernet_frame(host(1 + i % 2), host(0), 64, i));
  forward(0);
  ASSERT_EQ(received(), (Counts{0, 32, 32, 0}));
  for (unsigned i = 0; i < 32; ++i) {
    EXPECT_EQ(ports_[1].received[i].bytes, ethernet_frame(host(1), host(0), 64, 2 * i));
    EXPECT_EQ(ports_[2].received[i].bytes, ethernet_frame(host(2), host(0), 64, 2 * i + 1));
  }
}

TEST_F(BridgeTest, OneFullDestinationDoesNotHoldUpTheOthers) {
  ports_[1].room = 0;
  send(0, kBroadcast, host(0));
  EXPECT_EQ(received(), (Counts{0, 0, 1, 1}));
  EXPECT_EQ(ports_[1].dropped_out(DropReason::no_room), 1u);
  EXPECT_EQ(ports_[0].counters.in.forwarded.value(), 1u);
}

TEST_F(BridgeTest, LeavesOutPortsThatAreDownAndForgetsTheirAddresses) {
  send(1, kBroadcast, host(1));
  bridge_.set_link(1, false);
  EXPECT_FALSE(bridge_.carrier(1));
  EXPECT_TRUE(bridge_.carrier(0));
  EXPECT_THAT(bridge_.mac_entries(1000), IsEmpty());
  send(0, host(1), host(0));
  EXPECT_EQ(received(), (Counts{1, 0, 2, 2}));
  send(1, kBroadcast, host(1));
  EXPECT_EQ(ports_[1].dropped_in(DropReason::link_down), 1u);
  EXPECT_EQ(bridge_.mac_entries(1000).size(), 1u) << "a port that is down does not learn";
  bridge_.set_link(1, true);
  send(0, host(1), host(0));
  EXPECT_EQ(received(), (Counts{1, 1, 3, 3}));
}

TEST_F(BridgeTest, HasNoDestinationWhenAlone) {
  for (PortIndex i = 1; i < 4; ++i)
    bridge_.detach(i);
  send(0, kBroadcast, host(0));
  EXPECT_EQ(ports_[0].dropped_in(DropReason::no_destination), 1u);
}

TEST_F(BridgeTest, PortsComeAndGoWhileItRuns) {
  send(1, kBroadcast, host(1));
  bridge_.detach(1);
  send(0, host(1), host(0));
  EXPECT_EQ(received(), (Counts{1, 0, 2, 2})) << "the address went with its port, so it is flooded";
  MemoryPort& late = add_port();
  EXPECT_EQ(bridge_.attached().size(), 4u);
  send(0, host(1), host(0));
  EXPECT_EQ(late.received.size(), 1u) << "the free place is used again, without its old addresses";
  EXPECT_THAT(imbalances(bridge_.snapshot()), IsEmpty())
      << "what the port that left was offered still counts";
}

TEST_F(BridgeTest, ShowsIngressOnceAndEachDeliveryWithTheSameId) {
  RecordingTap from, to;
  bridge_.set_tap(0, &from);
  bridge_.set_tap(2, &to);
  send(0, kBroadcast, host(0));
  send(0, 0x0180'c200'0000, host(0));
  ASSERT_EQ(from.seen.size(), 2u) << "frames that the bridge drops are seen where they came in";
  ASSERT_EQ(to.seen.size(), 1u);
  EXPECT_EQ(from.seen[0].id, to.seen[0].id);
  EXPECT_NE(from.seen[0].id, from.seen[1].id);
}

TEST_F(BridgeTest, ForwardsToManyPorts) {
  while (ports_.size() < 200)
    add_port();
  send(150, kBroadcast, host(150));
  send(0, host(150), host(0));
  EXPECT_EQ(ports_[150].received.size(), 1u);
  send(1, kBroadcast, host(1));
  EXPECT_EQ(ports_[199].received.size(), 2u);
}

// Whatever comes, in any mixture, every frame is accounted for and nothing arrives that was not sent.
TEST_F(BridgeTest, BalancesUnderRandomTraffic) {
  std::mt19937 random(42);
  const auto pick = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  std::uint64_t sent = 0;
  for (int round = 0; round < 2000; ++round) {
    const unsigned from = pick(4);
    for (unsigned n = pick(70); n > 0; --n, ++sent) {
      const std::uint64_t to = pick(4) == 0 ? kBroadcast : pick(20) == 0 ? 0x0180'c200'0000 : host(pick(12));
      ports_[from].send(ethernet_frame(to, pick(30) == 0 ? 0 : host(pick(12)), 8 + pick(300)));
    }
    for (MemoryPort& port : ports_)
      port.room = pick(50);
    if (pick(50) == 0) bridge_.set_link(static_cast<PortIndex>(pick(4)), pick(2) == 0);
    forward(from);
    ASSERT_THAT(imbalances(bridge_.snapshot()), IsEmpty()) << "round " << round;
  }
  std::uint64_t taken = 0, waiting = 0;
  for (const MemoryPort& port : ports_) {
    taken += port.counters.in.frames.value();
    waiting += port.to_send.size();
  }
  EXPECT_EQ(taken + waiting, sent);
}

}  // namespace
}  // namespace patchbay::vswitch
