// The router appliance on real KVM with two virtio cards on the switch: boots, forwards, answers, sleeps, and
// loses nothing. Skipped where /dev/kvm cannot be used.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <iostream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/integration/router/frames.h"
#include "tests/integration/router/host_port.h"
#include "tests/integration/router/router_vm.h"

namespace patchbay::tests {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr Mac kLeftMac{0x02, 0, 0, 0, 0x02, 0};
constexpr Mac kRightMac{0x02, 0, 0, 0, 0x02, 1};
constexpr Ipv4 kLeft{10, 0, 0, 2};
constexpr Ipv4 kRight{10, 0, 1, 2};
constexpr Ipv4 kRouterLeft{10, 0, 0, 1};
constexpr Ipv4 kRouterRight{10, 0, 1, 1};
constexpr std::chrono::milliseconds kLimit = 5s;  // for things that take milliseconds

constexpr char kPrompt[] = "\r\nr1# ";
constexpr char kConfiguration[] =
    "interface eth0\n"
    " ip address 10.0.0.1/24\n"
    "interface eth1\n"
    " ip address 10.0.1.1/24\n"
    "ip route 10.9.0.0/16 10.0.1.2\n";

double milliseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

class RouterVmTest : public testing::Test {
 protected:
  void start(RouterVm::Options options) {
    try {
      router_.emplace(options, std::vector<vswitch::Port*>{&left_, &right_});
    } catch (const vmm::KvmUnavailable& error) {
      GTEST_SKIP() << error.what();
    }
    router_->power_on();
    ASSERT_TRUE(router_->wait_for_console(" ready in ", kLimit)) << failure();
  }
  void start() { start({.configuration = kConfiguration}); }

  void TearDown() override {
    if (!router_) return;
    EXPECT_THAT(router_->imbalances(), IsEmpty());
    EXPECT_NE(router_->machine().state(), vmm::VmState::crashed) << failure();
  }

  std::string failure() { return router_->machine().status().failure + "\n" + router_->console(); }

  static Ipv4Packet datagram_packet(std::uint32_t sequence, std::size_t bytes) {
    return {
        kLeft, kRight, 64, kUdp, static_cast<std::uint16_t>(sequence), true, make_datagram(sequence, bytes)};
  }
  static Frame from_left(const Ipv4Packet& packet) { return make_ipv4({RouterVm::mac(0), kLeftMac}, packet); }

  /// What arrives at a host until there are `count` frames or nothing more comes, without the router's
  /// announcements of its own addresses (gratuitous ARP).
  static std::vector<Frame> arrivals(HostPort& host, std::size_t count,
                                     std::chrono::milliseconds patience = kLimit) {
    std::vector<Frame> frames;
    while (frames.size() < count) {
      const std::vector<Frame> more = host.receive(1, patience);
      if (more.empty()) break;
      for (const Frame& frame : more) {
        const auto arp = parse_arp(frame);
        if (!arp || arp->sender != arp->target) frames.push_back(frame);
      }
    }
    return frames;
  }

  /// The right host tells the router its address, by the reply to the request that a first packet provokes.
  void resolve_right() {
    left_.send(from_left(datagram_packet(0, 20)));
    const auto asked = arrivals(right_, 1);
    ASSERT_EQ(asked.size(), 1U) << failure();
    const auto request = parse_arp(asked[0]);
    ASSERT_TRUE(request);
    EXPECT_EQ(parse_ethernet(asked[0]).destination, kBroadcast);
    EXPECT_EQ(request->operation, 1U);
    EXPECT_EQ(request->sender_mac, RouterVm::mac(1));
    EXPECT_EQ(request->sender, kRouterRight);
    EXPECT_EQ(request->target, kRight);
    right_.send(make_arp({RouterVm::mac(1), kRightMac},
                         {2, kRightMac, kRight, request->sender_mac, request->sender}));
    const auto held = arrivals(right_, 1);
    ASSERT_EQ(held.size(), 1U) << "the packet that waited for ARP did not come";
    EXPECT_TRUE(parse_ipv4(held[0]));
  }

  /// Types a command and returns what the console prints up to the next prompt.
  std::string command(const std::string& text) {
    EXPECT_TRUE(router_->wait_for_console(kPrompt, kLimit)) << failure();
    const std::size_t from = router_->console().size();
    router_->type(text + "\r");
    EXPECT_TRUE(router_->wait_for_console(kPrompt, kLimit, from)) << text << ": " << failure();
    return router_->console().substr(from);
  }

  HostPort left_{"left"};
  HostPort right_{"right"};
  std::optional<RouterVm> router_;
};

TEST_F(RouterVmTest, BootsToForwardingWithinMilliseconds) {
  const auto before = std::chrono::steady_clock::now();
  start();
  if (IsSkipped()) return;
  const auto ready = std::chrono::steady_clock::now() - before;
  std::cout << "machine built, booted and ready in " << milliseconds(ready) << " ms\n"
            << router_->console() << '\n';
  EXPECT_LT(ready, 500ms);
  EXPECT_THAT(router_->console(), HasSubstr("router r1 ready in "));
  EXPECT_EQ(router_->machine().statistics().unclaimed_accesses, 0U);
}

TEST_F(RouterVmTest, ForwardsWithNewAddressesAndOneHopLess) {
  start();
  if (IsSkipped()) return;
  ASSERT_NO_FATAL_FAILURE(resolve_right());
  for (const std::size_t bytes : {12U, 18U, 100U, 1480U}) {  // from padded to a full MTU
    const Ipv4Packet sent = datagram_packet(7, bytes);
    left_.send(from_left(sent));
    const auto frames = arrivals(right_, 1);
    ASSERT_EQ(frames.size(), 1U);
    const Ethernet ethernet = parse_ethernet(frames[0]);
    EXPECT_EQ(ethernet.source, RouterVm::mac(1));
    EXPECT_EQ(ethernet.destination, kRightMac);
    const auto packet = parse_ipv4(frames[0]);  // nothing if the checksum is wrong
    ASSERT_TRUE(packet);
    EXPECT_EQ(packet->ttl, sent.ttl - 1);
    EXPECT_EQ(packet->source, kLeft);
    EXPECT_EQ(packet->destination, kRight);
    EXPECT_EQ(packet->identification, sent.identification);
    EXPECT_EQ(packet->payload, sent.payload);
  }
}

TEST_F(RouterVmTest, AnswersArpAndPing) {
  start();
  if (IsSkipped()) return;
  left_.send(make_arp({kBroadcast, kLeftMac}, {1, kLeftMac, kLeft, {}, kRouterLeft}));
  auto frames = arrivals(left_, 1);
  ASSERT_EQ(frames.size(), 1U);
  const auto reply = parse_arp(frames[0]);
  ASSERT_TRUE(reply);
  EXPECT_EQ(parse_ethernet(frames[0]).destination, kLeftMac);
  EXPECT_EQ(reply->operation, 2U);
  EXPECT_EQ(reply->sender_mac, RouterVm::mac(0));
  EXPECT_EQ(reply->sender, kRouterLeft);
  EXPECT_EQ(reply->target_mac, kLeftMac);
  EXPECT_EQ(reply->target, kLeft);

  left_.send(from_left({kLeft, kRouterLeft, 64, kIcmp, 1, true, make_echo(8, 5, 56)}));
  frames = arrivals(left_, 1);
  ASSERT_EQ(frames.size(), 1U);
  const auto echo = parse_ipv4(frames[0]);
  ASSERT_TRUE(echo);
  EXPECT_EQ(echo->source, kRouterLeft);
  EXPECT_EQ(echo->destination, kLeft);
  EXPECT_EQ(echo->payload, make_echo(0, 5, 56));
}

TEST_F(RouterVmTest, LosesNothingInTenThousandFrames) {
  start();
  if (IsSkipped()) return;
  ASSERT_NO_FATAL_FAILURE(resolve_right());
  constexpr std::uint32_t kFrames = 10'000;
  std::vector<Frame> load;
  for (std::uint32_t i = 0; i < kFrames; ++i)
    load.push_back(from_left(datagram_packet(i, 20 + i % 1400)));
  left_.send(load);
  const std::vector<Frame> arrived = arrivals(right_, kFrames, 1s);
  ASSERT_EQ(arrived.size(), kFrames);
  for (std::uint32_t i = 0; i < kFrames; ++i) {
    const auto packet = parse_ipv4(arrived[i]);
    ASSERT_TRUE(packet) << "frame " << i;
    ASSERT_EQ(datagram_sequence(*packet), i);
    ASSERT_EQ(packet->payload, make_datagram(i, 20 + i % 1400));
  }
  EXPECT_EQ(router_->card(0).counters.out.delivered.value(), kFrames + 1);  // and the first packet
  EXPECT_EQ(router_->card(1).counters.in.frames.value(), router_->card(1).counters.in.forwarded.value());
}

TEST_F(RouterVmTest, ForwardsBothWaysAtOnce) {
  start();
  if (IsSkipped()) return;
  ASSERT_NO_FATAL_FAILURE(resolve_right());
  left_.send(make_arp({kBroadcast, kLeftMac}, {1, kLeftMac, kLeft, {}, kRouterLeft}));
  ASSERT_EQ(arrivals(left_, 1).size(), 1U);
  constexpr std::uint32_t kFrames = 3000;
  std::vector<Frame> there;
  std::vector<Frame> back;
  for (std::uint32_t i = 0; i < kFrames; ++i) {
    there.push_back(from_left(datagram_packet(i, 200)));
    Ipv4Packet packet = datagram_packet(i, 200);
    std::swap(packet.source, packet.destination);
    back.push_back(make_ipv4({RouterVm::mac(1), kRightMac}, packet));
  }
  left_.send(there);
  right_.send(back);
  EXPECT_EQ(arrivals(right_, kFrames).size(), kFrames);
  EXPECT_EQ(arrivals(left_, kFrames).size(), kFrames);
}

TEST_F(RouterVmTest, ForwardsJumboFrames) {
  start({.configuration = kConfiguration, .mtu = 9500});
  if (IsSkipped()) return;
  ASSERT_NO_FATAL_FAILURE(resolve_right());
  std::vector<Frame> load;
  for (std::uint32_t i = 0; i < 600; ++i)
    load.push_back(from_left(datagram_packet(i, 9480)));
  left_.send(load);
  const auto frames = arrivals(right_, load.size());
  ASSERT_EQ(frames.size(), load.size());
  for (std::uint32_t i = 0; i < frames.size(); ++i) {
    const auto packet = parse_ipv4(frames[i]);
    ASSERT_TRUE(packet);
    ASSERT_EQ(packet->payload, make_datagram(i, 9480));
  }
}

TEST_F(RouterVmTest, OutputThatStandsStillDoesNotStopTheRest) {
  start();
  if (IsSkipped()) return;
  ASSERT_NO_FATAL_FAILURE(resolve_right());
  left_.send(make_arp({kBroadcast, kLeftMac}, {1, kLeftMac, kLeft, {}, kRouterLeft}));
  ASSERT_EQ(arrivals(left_, 1).size(), 1U);
  right_.set_busy(true);
  std::vector<Frame> load;
  for (std::uint32_t i = 0; i < 2000; ++i)
    load.push_back(from_left(datagram_packet(i, 100)));
  load.push_back(from_left({kLeft, kRouterLeft, 64, kIcmp, 1, true, make_echo(8, 5, 56)}));
  left_.send(load);
  EXPECT_EQ(arrivals(left_, 1).size(), 1U) << "the router does not answer: " << failure();

  std::this_thread::sleep_for(100ms);
  const auto before = router_->vcpu_time();
  std::this_thread::sleep_for(500ms);
  EXPECT_LT(router_->vcpu_time() - before, 10ms);

  // What filled the transmit ring comes out, and then everything does.
  right_.set_busy(false);
  const std::size_t kept = arrivals(right_, 2000, 300ms).size();
  EXPECT_GE(kept, 192U);
  EXPECT_LT(kept, 2000U);
  left_.send(std::vector<Frame>(1000, load.front()));
  EXPECT_EQ(arrivals(right_, 1000).size(), 1000U);
}

TEST_F(RouterVmTest, SleepsWhenIdleAndWakesOnWork) {
  start();
  if (IsSkipped()) return;
  ASSERT_NO_FATAL_FAILURE(resolve_right());
  std::this_thread::sleep_for(200ms);  // the console's banner, and the end of polling
  const auto before = router_->vcpu_time();
  std::this_thread::sleep_for(1s);
  const auto idle = router_->vcpu_time() - before;
  std::cout << "idle: " << milliseconds(idle) << " ms of processor time in 1 s\n";
  EXPECT_LT(idle, 10ms);

  for (std::uint32_t i = 0; i < 20; ++i) {
    const auto sent = std::chrono::steady_clock::now();
    left_.send(from_left(datagram_packet(i, 100)));
    ASSERT_EQ(arrivals(right_, 1).size(), 1U);
    const auto delay = std::chrono::steady_clock::now() - sent;
    if (i == 0) std::cout << "woken and forwarded in " << milliseconds(delay) << " ms\n";
    EXPECT_LT(delay, 500ms);
    std::this_thread::sleep_for(5ms);  // long enough to fall asleep
  }
}

TEST_F(RouterVmTest, ConsoleShowsRoutesInterfacesAndNeighbours) {
  start();
  if (IsSkipped()) return;
  ASSERT_NO_FATAL_FAILURE(resolve_right());
  const std::string routes = command("show ip route");
  EXPECT_THAT(routes, HasSubstr("10.0.0.0/24"));
  EXPECT_THAT(routes, HasSubstr("10.9.0.0/16"));
  const std::string interfaces = command("show interface");
  EXPECT_THAT(interfaces, HasSubstr("eth0"));
  EXPECT_THAT(interfaces, HasSubstr("10.0.1.1/24"));
  EXPECT_THAT(interfaces, HasSubstr("02:00:00:00:01:01"));
  const std::string neighbours = command("show arp");
  EXPECT_THAT(neighbours, HasSubstr("10.0.1.2"));
  EXPECT_THAT(neighbours, HasSubstr("02:00:00:00:02:01"));
  EXPECT_THAT(command("nonsense"), HasSubstr("nonsense"));
}

TEST_F(RouterVmTest, ConsolePingsWhileItForwards) {
  start();
  if (IsSkipped()) return;
  ASSERT_NO_FATAL_FAILURE(resolve_right());
  ASSERT_TRUE(router_->wait_for_console(kPrompt, kLimit));
  const std::size_t from = router_->console().size();
  router_->type("ping 10.0.1.2\r");
  std::size_t answered = 0;
  for (int i = 0; i < 100 && !router_->wait_for_console(kPrompt, 0ms, from); ++i) {
    for (const Frame& frame : right_.receive(1, 100ms)) {
      const auto request = parse_ipv4(frame);
      if (!request || request->protocol != kIcmp) continue;
      Ipv4Packet reply = *request;
      std::swap(reply.source, reply.destination);
      reply.payload[0] = 0;
      reply.payload[2] = reply.payload[3] = 0;
      const std::uint16_t sum = internet_checksum(reply.payload.data(), reply.payload.size());
      reply.payload[2] = static_cast<std::uint8_t>(sum >> 8);
      reply.payload[3] = static_cast<std::uint8_t>(sum);
      right_.send(make_ipv4({RouterVm::mac(1), kRightMac}, reply));
      ++answered;
    }
  }
  EXPECT_GT(answered, 0U);
  EXPECT_THAT(router_->console().substr(from), HasSubstr(" 0% packet loss"));
}

TEST_F(RouterVmTest, NoticesThatACableIsPulled) {
  start();
  if (IsSkipped()) return;
  ASSERT_THAT(command("show interface"), testing::Not(HasSubstr("down")));
  router_->card(1).set_link(false);
  std::string shown;
  for (int i = 0; i < 50 && shown.find("down") == std::string::npos; ++i) {
    std::this_thread::sleep_for(100ms);
    shown = command("show interface");
  }
  EXPECT_THAT(shown, HasSubstr("down"));
}

TEST_F(RouterVmTest, NamesLineAndWordOfABadConfiguration) {
  start({.configuration = "interface eth0\n ip address 10.0.0.300/24\nfrobnicate\ninterface eth1\n ip "
                          "address 10.0.1.1/24\n"});
  if (IsSkipped()) return;
  ASSERT_TRUE(router_->wait_for_console("frobnicate", kLimit)) << failure();
  EXPECT_THAT(router_->console(), HasSubstr("configuration:2:13: "));
  EXPECT_THAT(router_->console(), HasSubstr("10.0.0.300/24"));
  EXPECT_THAT(router_->console(), HasSubstr("configuration:3:1: "));
  EXPECT_THAT(command("show ip route"), HasSubstr("10.0.1.0/24"));  // the lines after it count
}

TEST_F(RouterVmTest, PowerButtonSwitchesItOff) {
  start();
  if (IsSkipped()) return;
  ASSERT_TRUE(router_->machine().press_power_button());
  ASSERT_TRUE(router_->wait_for_console("power off", kLimit));
  for (int i = 0; i < 500 && router_->machine().state() == vmm::VmState::running; ++i)
    std::this_thread::sleep_for(10ms);
  EXPECT_EQ(router_->machine().state(), vmm::VmState::off);
  EXPECT_EQ(router_->machine().status().exit_status, 0U);
}

TEST_F(RouterVmTest, ForwardsAgainAfterAReset) {
  start();
  if (IsSkipped()) return;
  ASSERT_NO_FATAL_FAILURE(resolve_right());
  const std::size_t from = router_->console().size();
  router_->machine().reset();
  ASSERT_TRUE(router_->wait_for_console(" ready in ", kLimit, from)) << failure();
  ASSERT_NO_FATAL_FAILURE(resolve_right());
}

}  // namespace
}  // namespace patchbay::tests
