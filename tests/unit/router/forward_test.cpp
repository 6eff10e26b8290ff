// The way of a packet that is forwarded: TTL, checksum, Ethernet header, next hop, order, limits of the
// driver.
#include <gtest/gtest.h>

#include <random>

#include "tests/unit/router/test_router.h"

namespace patchbay::router::test {
namespace {

/// What a packet must look like after one hop.
Bytes forwarded(Bytes packet) {
  --packet[8];
  fix_ip_checksum(packet);
  return packet;
}

class Forward : public testing::Test {
 protected:
  Forward() { router_.meet_everybody(); }
  TestRouter router_;
};

TEST_F(Forward, ToANeighbour) {
  const Bytes packet = ipv4({});
  router_.receive(0, from_host(0, 2, packet));
  EXPECT_EQ(router_.take(1), ethernet(host_mac(1, 2), router_mac(1), 0x0800, forwarded(packet)));
  EXPECT_TRUE(router_.silent());
  EXPECT_EQ(router_.counters().forwarded, 1U);
}

TEST_F(Forward, ThroughAGateway) {
  const Bytes packet = ipv4({.destination = "10.9.77.1"});
  router_.receive(0, from_host(0, 2, packet));
  EXPECT_EQ(router_.take(2), ethernet(host_mac(2, 9), router_mac(2), 0x0800, forwarded(packet)));
  EXPECT_TRUE(router_.silent());
}

TEST_F(Forward, EveryTtlAndChecksum) {
  std::mt19937 random(1);
  for (unsigned ttl = 2; ttl <= 255; ++ttl) {
    std::vector<Bytes> frames, expected;
    for (int i = 0; i < 64; ++i) {
      const Bytes packet = ipv4({.ttl = ttl, .identification = static_cast<unsigned>(random() & 0xFFFF)});
      frames.push_back(from_host(0, 2, packet));
      expected.push_back(ethernet(host_mac(1, 2), router_mac(1), 0x0800, forwarded(packet)));
    }
    router_.receive(0, frames);
    for (const auto& frame : expected)
      ASSERT_EQ(router_.take(1), frame);
  }
}

TEST_F(Forward, ChecksumEdges) {
  // Identifications that make the checksum before and after the hop pass 0x0000 and 0xFFFF.
  for (unsigned identification = 0; identification <= 0xFFFF; ++identification) {
    const Bytes packet = ipv4({.identification = identification, .payload = {}});
    const auto checksum = get16(packet, 10);
    if (checksum > 0x0200 && checksum < 0xFD00) continue;
    router_.receive(0, from_host(0, 2, packet));
    ASSERT_EQ(tail(router_.take(1), 14), forwarded(packet));
  }
}

TEST_F(Forward, LastHopBeforeTheEnd) {
  router_.receive(0, from_host(0, 2, ipv4({.ttl = 2})));
  EXPECT_EQ(router_.take(1).at(14 + 8), 1);
}

TEST_F(Forward, MixedBurstKeepsOrderPerOutput) {
  std::vector<Bytes> frames;
  for (unsigned i = 0; i < 64; ++i) {
    frames.push_back(
        from_host(0, 2, ipv4({.destination = i % 2 == 0 ? "10.0.2.2" : "10.9.0.1", .identification = i})));
  }
  router_.receive(0, frames);
  for (unsigned i = 0; i < 64; ++i)
    EXPECT_EQ(get16(router_.take(i % 2 == 0 ? 1 : 2), 18), i);
  EXPECT_TRUE(router_.silent());
}

TEST_F(Forward, FullMtuPasses) {
  const Bytes packet = ipv4({.flags_offset = 0x4000, .payload = Bytes(1480, 1)});
  router_.receive(0, from_host(0, 2, packet));
  EXPECT_EQ(tail(router_.take(1), 14), forwarded(packet));
}

TEST_F(Forward, DriverThatTakesNoMore) {
  router_.environment.transmit_room = 3;
  router_.receive(0, std::vector<Bytes>(10, from_host(0, 2, ipv4({}))));
  EXPECT_EQ(router_.environment.sent[1].size(), 3U);
  EXPECT_EQ(router_.drops(DropReason::transmit_full), 7U);
  EXPECT_EQ(router_.router().counters(1).tx_dropped, 7U);
}

TEST_F(Forward, FragmentsAreForwardedAsTheyAre) {
  for (const unsigned flags : {0x2000U, 0x20B9U, 0x00B9U}) {
    const Bytes packet = ipv4({.flags_offset = flags});
    router_.receive(0, from_host(0, 2, packet));
    EXPECT_EQ(tail(router_.take(1), 14), forwarded(packet));
  }
}

TEST_F(Forward, ReturnToSenderNetworkWithRedirect) {
  router_.configure("ip route 10.8.0.0/16 10.0.1.7\n");
  router_.meet(0, 7);
  const Bytes packet = ipv4({.destination = "10.8.0.1"});
  router_.receive(0, from_host(0, 2, packet));
  // The redirect names the better gateway and quotes the packet as it came; the packet goes on all the same.
  const Bytes redirect = router_.take(0);
  EXPECT_EQ(head(redirect, 14), head(ethernet(host_mac(0, 2), router_mac(0), 0x0800, {}), 14));
  EXPECT_EQ(tail(redirect, 34), icmp(5, 1, ip("10.0.1.7"), packet));
  EXPECT_EQ(tail(router_.take(0), 14), forwarded(packet));
  EXPECT_TRUE(router_.silent());
}

TEST_F(Forward, NoRedirectForOffLinkSources) {
  router_.configure("ip route 10.8.0.0/16 10.0.1.7\nip route 172.16.0.0/16 10.0.1.2\n");
  router_.meet(0, 7);
  router_.receive(0, from_host(0, 2, ipv4({.source = "172.16.0.1", .destination = "10.8.0.1"})));
  EXPECT_EQ(get32(router_.take(0), 30), ip("10.8.0.1"));
  EXPECT_TRUE(router_.silent());
}

TEST_F(Forward, LinkDownTakesRoutesAway) {
  router_.router().set_link(1, false, router_.now);
  router_.receive(0, from_host(0, 2, ipv4({})));
  EXPECT_EQ(router_.drops(DropReason::no_route), 1U);
  router_.clear();
  router_.router().set_link(1, true, router_.now);
  router_.clear();
  router_.meet(1, 2);
  router_.receive(0, from_host(0, 2, ipv4({})));
  EXPECT_EQ(router_.environment.sent[1].size(), 1U);
}

}  // namespace
}  // namespace patchbay::router::test
