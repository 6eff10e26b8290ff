// ICMP errors: which, to whom, with what in them, and when none may be sent (RFC 1812, 4.3).
#include <gtest/gtest.h>

#include "tests/unit/router/test_router.h"

namespace patchbay::router::test {
namespace {

class IcmpErrors : public testing::Test {
 protected:
  IcmpErrors() { router_.meet_everybody(); }

  /// The packet from 10.0.1.2 is answered with this error, and nothing else is sent.
  void expect_error(const Bytes& packet, unsigned type, unsigned code, std::uint32_t rest,
                    DropReason reason) {
    const auto before = router_.drops(reason);
    router_.receive(0, from_host(0, 2, packet));
    const Bytes frame = router_.take(0);
    EXPECT_EQ(head(frame, 14), head(ethernet(host_mac(0, 2), router_mac(0), 0x0800, {}), 14));
    const Bytes quoted = head(packet, 576 - 28);
    const Bytes expected = ipv4({.source = "10.0.1.1",
                                 .destination = "10.0.1.2",
                                 .ttl = 64,
                                 .protocol = 1,
                                 .tos = 0xC0,
                                 .identification = get16(frame, 18),
                                 .payload = icmp(type, code, rest, quoted)});
    EXPECT_EQ(tail(frame, 14), expected);
    EXPECT_TRUE(router_.silent());
    EXPECT_EQ(router_.drops(reason), before + 1);
  }
  /// The packet is dropped for this reason without a word.
  void expect_silence(const Bytes& frame, DropReason reason) {
    const auto before = router_.drops(reason);
    router_.receive(0, frame);
    EXPECT_TRUE(router_.silent());
    EXPECT_EQ(router_.drops(reason), before + 1);
    router_.clear();
  }

  TestRouter router_;
};

TEST_F(IcmpErrors, TimeExceeded) {
  expect_error(ipv4({.ttl = 1}), 11, 0, 0, DropReason::ttl_expired);
  expect_error(ipv4({.ttl = 0}), 11, 0, 0, DropReason::ttl_expired);
}

TEST_F(IcmpErrors, TtlIsTestedAfterLocalDelivery) {
  // A packet for the router itself needs no TTL (RFC 1812, 5.3.1).
  router_.receive(
      0, from_host(0, 2,
                   ipv4({.destination = "10.0.1.1", .ttl = 1, .protocol = 1, .payload = icmp(8, 0, 7, {})})));
  EXPECT_EQ(tail(router_.take(0), 34), icmp(0, 0, 7, {}));
}

TEST_F(IcmpErrors, NoRoute) {
  expect_error(ipv4({.destination = "192.0.2.1"}), 3, 0, 0, DropReason::no_route);
}

TEST_F(IcmpErrors, RejectAndBlackholeRoutes) {
  router_.configure(
      "ip route 192.0.2.0/24 reject\nip route 192.0.3.0/24 blackhole\nip route 192.0.4.0/24 Null0\n");
  expect_error(ipv4({.destination = "192.0.2.1"}), 3, 13, 0, DropReason::prohibited);
  expect_silence(from_host(0, 2, ipv4({.destination = "192.0.3.1"})), DropReason::blackhole);
  expect_silence(from_host(0, 2, ipv4({.destination = "192.0.4.1"})), DropReason::blackhole);
}

TEST_F(IcmpErrors, FragmentationNeededTellsTheNextHopsMtu) {
  router_.configure("interface eth1\n mtu 600\n");
  expect_error(ipv4({.flags_offset = 0x4000, .payload = Bytes(1000, 5)}), 3, 4, 600, DropReason::too_big);
  expect_error(ipv4({.flags_offset = 0x4000, .payload = Bytes(581, 5)}), 3, 4, 600, DropReason::too_big);
  router_.receive(0, from_host(0, 2, ipv4({.flags_offset = 0x4000, .payload = Bytes(580, 5)})));
  EXPECT_EQ(router_.take(1).size(), 614U);
}

TEST_F(IcmpErrors, QuoteStopsAt576Bytes) {
  for (const std::size_t payload : {0U, 1U, 527U, 528U, 529U, 1480U}) {
    router_.receive(0, from_host(0, 2, ipv4({.ttl = 1, .payload = Bytes(payload, 3)})));
    EXPECT_EQ(router_.take(0).size(), 14 + std::min<std::size_t>(576, 28 + 20 + payload));
  }
}

TEST_F(IcmpErrors, PortAndProtocolUnreachable) {
  expect_error(ipv4({.destination = "10.0.1.1", .protocol = 17, .payload = udp(5, 33434, 12)}), 3, 3, 0,
               DropReason::no_service);
  // The other interface's address is the router's too; the error comes from the outgoing interface.
  expect_error(ipv4({.destination = "10.0.2.1", .protocol = 6, .payload = Bytes(20, 0)}), 3, 2, 0,
               DropReason::no_service);
}

TEST_F(IcmpErrors, NotAboutIcmpErrors) {
  for (const unsigned type : {3U, 4U, 5U, 11U, 12U, 40U, 255U}) {
    expect_silence(from_host(0, 2, ipv4({.ttl = 1, .protocol = 1, .payload = icmp(type, 0, 0, ipv4({}))})),
                   DropReason::ttl_expired);
  }
  // Nor about ICMP of which the type is missing.
  expect_silence(from_host(0, 2, ipv4({.ttl = 1, .protocol = 1, .payload = {}})), DropReason::ttl_expired);
}

TEST_F(IcmpErrors, AboutIcmpRequests) {
  expect_error(ipv4({.ttl = 1, .protocol = 1, .payload = icmp(8, 0, 1, Bytes(10, 1))}), 11, 0, 0,
               DropReason::ttl_expired);
}

TEST_F(IcmpErrors, OnlyAboutTheFirstFragment) {
  expect_silence(from_host(0, 2, ipv4({.ttl = 1, .flags_offset = 0x2001})), DropReason::ttl_expired);
  expect_silence(from_host(0, 2, ipv4({.ttl = 1, .flags_offset = 0x1FFF})), DropReason::ttl_expired);
  expect_error(ipv4({.ttl = 1, .flags_offset = 0x2000}), 11, 0, 0, DropReason::ttl_expired);
}

TEST_F(IcmpErrors, NotAboutLinkBroadcasts) {
  expect_silence(ethernet(kBroadcast, host_mac(0, 2), 0x0800, ipv4({.ttl = 1})), DropReason::link_broadcast);
}

TEST_F(IcmpErrors, NoneToInvalidSources) {
  expect_silence(from_host(0, 2, ipv4({.source = "127.0.0.1", .ttl = 1})), DropReason::martian_source);
  expect_silence(from_host(0, 2, ipv4({.source = "10.0.1.255", .ttl = 1})), DropReason::martian_source);
}

TEST_F(IcmpErrors, ReturnedThroughTheRoutingTable) {
  // The source is behind the gateway on eth2, whatever interface the packet came from.
  router_.receive(0, from_host(0, 2, ipv4({.source = "10.9.1.1", .ttl = 1})));
  const Bytes frame = router_.take(2);
  EXPECT_EQ(head(frame, 6), host_mac(2, 9));
  EXPECT_EQ(get32(frame, 26), ip("10.0.3.1"));
  EXPECT_EQ(get32(frame, 30), ip("10.9.1.1"));
}

TEST_F(IcmpErrors, RateIsLimitedPerSource) {
  const Bytes from_2 = from_host(0, 2, ipv4({.ttl = 1}));
  for (int i = 0; i < 100; ++i)
    router_.receive(0, from_2);
  EXPECT_EQ(router_.environment.sent[0].size(), IcmpLimiter::kSourceBurst);
  EXPECT_EQ(router_.counters().icmp_suppressed, 100 - IcmpLimiter::kSourceBurst);
  // Another source has tokens of its own.
  router_.clear();
  router_.meet(0, 3);
  router_.receive(0, from_host(0, 3, ipv4({.source = "10.0.1.3", .ttl = 1})));
  EXPECT_EQ(router_.environment.sent[0].size(), 1U);
  // One token comes back every 50 ms.
  router_.clear();
  router_.now += 49 * kMillisecond;
  router_.receive(0, from_2);
  EXPECT_EQ(router_.environment.sent[0].size(), 0U);
  router_.now += 1 * kMillisecond;
  router_.receive(0, from_2);
  router_.receive(0, from_2);
  EXPECT_EQ(router_.environment.sent[0].size(), 1U);
  // After a second of rest the burst is full again.
  router_.clear();
  router_.now += kSecond;
  for (int i = 0; i < 100; ++i)
    router_.receive(0, from_2);
  EXPECT_EQ(router_.environment.sent[0].size(), IcmpLimiter::kSourceBurst);
}

TEST(IcmpLimiterTest, TotalIsLimitedToo) {
  std::array<IcmpLimiter::Source, 256> sources{};
  IcmpLimiter limiter(sources);
  unsigned allowed = 0;
  for (std::uint32_t i = 1; i <= 1000; ++i)
    if (limiter.allow({i << 8}, kSecond)) ++allowed;
  EXPECT_EQ(allowed, IcmpLimiter::kTotalBurst);
}

TEST_F(IcmpErrors, NoBufferMeansNoError) {
  router_.environment.buffers = 0;
  expect_silence(from_host(0, 2, ipv4({.ttl = 1})), DropReason::ttl_expired);
}

}  // namespace
}  // namespace patchbay::router::test
