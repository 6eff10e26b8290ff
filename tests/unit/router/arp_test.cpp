// ARP (RFC 826; RFC 1122, 2.3.2; RFC 5227) over time.
#include "appliances/router/core/arp.h"

#include <gtest/gtest.h>

#include "tests/unit/router/test_router.h"

namespace patchbay::router::test {
namespace {

Bytes request(unsigned i, const std::string& target, const Mac& to = kBroadcast) {
  return ethernet(to, router_mac(i), 0x0806,
                  arp_packet({1, router_mac(i), "10.0." + std::to_string(i + 1) + ".1", kZeroMac, target}));
}
Bytes reply(unsigned i, unsigned n) {
  const std::string network = "10.0." + std::to_string(i + 1) + ".";
  return ethernet(router_mac(i), host_mac(i, n), 0x0806,
                  arp_packet({2, host_mac(i, n), network + std::to_string(n), router_mac(i), network + "1"}));
}
Bytes numbered(unsigned number) {
  return from_host(0, 2, ipv4({.identification = number}));
}

class ArpTest : public testing::Test {
 protected:
  TestRouter router_;
};

TEST_F(ArpTest, RequestsForUsAreAnsweredAndTheSenderIsLearnt) {
  router_.receive(0, ethernet(kBroadcast, host_mac(0, 2), 0x0806,
                              arp_packet({1, host_mac(0, 2), "10.0.1.2", kZeroMac, "10.0.1.1"})));
  EXPECT_EQ(router_.take(0),
            ethernet(host_mac(0, 2), router_mac(0), 0x0806,
                     arp_packet({2, router_mac(0), "10.0.1.1", host_mac(0, 2), "10.0.1.2"})));
  EXPECT_TRUE(router_.silent());
  EXPECT_EQ(router_.neighbor_state("10.0.1.2"), "reachable");
}

TEST_F(ArpTest, EthernetPaddingDoesNotMatter) {
  router_.receive(0,
                  ethernet(kBroadcast, host_mac(0, 2), 0x0806,
                           arp_packet({1, host_mac(0, 2), "10.0.1.2", kZeroMac, "10.0.1.1"}) + Bytes(18, 0)));
  EXPECT_EQ(router_.take(0).size(), 42U);
}

TEST_F(ArpTest, RequestsForOthersAreIgnored) {
  router_.receive(0, ethernet(kBroadcast, host_mac(0, 2), 0x0806,
                              arp_packet({1, host_mac(0, 2), "10.0.1.2", kZeroMac, "10.0.1.3"})));
  // Nor for an address on another interface of ours.
  router_.receive(0, ethernet(kBroadcast, host_mac(0, 2), 0x0806,
                              arp_packet({1, host_mac(0, 2), "10.0.1.2", kZeroMac, "10.0.2.1"})));
  EXPECT_TRUE(router_.silent());
  EXPECT_EQ(router_.drops(DropReason::arp_not_for_us), 2U);
  EXPECT_EQ(router_.neighbor_state("10.0.1.2"), "");
}

TEST_F(ArpTest, MalformedPacketsAreDropped) {
  const Bytes good = arp_packet({1, host_mac(0, 2), "10.0.1.2", kZeroMac, "10.0.1.1"});
  const auto drop = [&](const Bytes& arp) {
    const auto before = router_.drops(DropReason::bad_arp);
    router_.receive(0, ethernet(kBroadcast, host_mac(0, 2), 0x0806, arp));
    EXPECT_EQ(router_.drops(DropReason::bad_arp), before + 1);
    EXPECT_TRUE(router_.silent());
    EXPECT_EQ(router_.neighbor_state("10.0.1.2"), "");
  };
  for (std::size_t length = 0; length < 28; ++length)
    drop(head(good, length));
  for (const std::size_t at : {0U, 1U, 2U, 3U, 4U, 5U, 6U}) {
    Bytes bad = good;
    bad[at] = static_cast<std::uint8_t>(bad[at] ^ 0x10);
    drop(bad);
  }
  for (const std::uint8_t operation : Bytes{0, 3, 8, 9}) {
    Bytes bad = good;
    bad[7] = operation;
    drop(bad);
  }
  drop(arp_packet({1, kBroadcast, "10.0.1.2", kZeroMac, "10.0.1.1"}));
  drop(arp_packet({1, {1, 0, 0x5E, 0, 0, 1}, "10.0.1.2", kZeroMac, "10.0.1.1"}));
  drop(arp_packet({1, kZeroMac, "10.0.1.2", kZeroMac, "10.0.1.1"}));
  drop(arp_packet({1, router_mac(0), "10.0.1.2", kZeroMac, "10.0.1.1"}));
}

TEST_F(ArpTest, OffLinkSendersAreRejected) {
  for (const char* sender : {"10.0.2.2", "192.0.2.1", "10.0.1.255", "10.0.1.0"}) {
    const auto before = router_.drops(DropReason::arp_off_link);
    router_.receive(0, ethernet(kBroadcast, host_mac(0, 2), 0x0806,
                                arp_packet({1, host_mac(0, 2), sender, kZeroMac, "10.0.1.1"})));
    EXPECT_EQ(router_.drops(DropReason::arp_off_link), before + 1) << sender;
    EXPECT_TRUE(router_.silent());
  }
}

TEST_F(ArpTest, AddressProbesAreAnsweredWithoutLearning) {
  router_.receive(0, ethernet(kBroadcast, host_mac(0, 5), 0x0806,
                              arp_packet({1, host_mac(0, 5), "0.0.0.0", kZeroMac, "10.0.1.1"})));
  EXPECT_EQ(router_.take(0), ethernet(host_mac(0, 5), router_mac(0), 0x0806,
                                      arp_packet({2, router_mac(0), "10.0.1.1", host_mac(0, 5), "0.0.0.0"})));
  EXPECT_EQ(router_.router().state().plane.neighbors.size(), 0U);
}

TEST_F(ArpTest, DuplicateAddressIsCountedAndDefended) {
  router_.receive(0, ethernet(kBroadcast, host_mac(0, 6), 0x0806,
                              arp_packet({1, host_mac(0, 6), "10.0.1.1", kZeroMac, "10.0.1.1"})));
  EXPECT_EQ(router_.drops(DropReason::arp_duplicate_address), 1U);
  EXPECT_EQ(router_.take(0), request(0, "10.0.1.1"));
}

TEST_F(ArpTest, AddressesAreAnnouncedWhenTheyComeUp) {
  TestRouter fresh("");
  fresh.configure("interface eth0\n ip address 10.0.1.1/24\n");
  EXPECT_EQ(fresh.take(0), request(0, "10.0.1.1"));
  fresh.configure("interface eth0\n ip address 10.0.1.1/24\n");  // nothing new
  EXPECT_TRUE(fresh.silent());
  fresh.router().set_link(0, false, fresh.now);
  EXPECT_TRUE(fresh.silent());
  fresh.router().set_link(0, true, fresh.now);
  EXPECT_EQ(fresh.take(0), request(0, "10.0.1.1"));
}

TEST_F(ArpTest, PacketsWaitForTheReplyAndLeaveInOrder) {
  for (unsigned i = 1; i <= 3; ++i)
    router_.receive(0, numbered(i));
  EXPECT_EQ(router_.take(1), request(1, "10.0.2.2"));
  EXPECT_TRUE(router_.silent());
  EXPECT_EQ(router_.counters().held, 3U);
  EXPECT_EQ(router_.neighbor_state("10.0.2.2"), "incomplete");
  router_.receive(1, reply(1, 2));
  for (unsigned i = 1; i <= 3; ++i) {
    const Bytes frame = router_.take(1);
    EXPECT_EQ(head(frame, 14), head(ethernet(host_mac(1, 2), router_mac(1), 0x0800, {}), 14));
    EXPECT_EQ(get16(frame, 18), i);
    EXPECT_EQ(frame.at(22), 63);
  }
  EXPECT_EQ(router_.counters().held, 0U);
  EXPECT_EQ(router_.counters().forwarded, 3U);
}

TEST_F(ArpTest, TheNewestPacketsAreHeld) {
  for (unsigned i = 1; i <= 20; ++i)
    router_.receive(0, numbered(i));
  EXPECT_EQ(router_.counters().held, arp::kMaxHeldPerNeighbor);
  EXPECT_EQ(router_.drops(DropReason::hold_queue_full), 20 - arp::kMaxHeldPerNeighbor);
  router_.clear();
  router_.receive(1, reply(1, 2));
  for (unsigned i = 21 - arp::kMaxHeldPerNeighbor; i <= 20; ++i)
    EXPECT_EQ(get16(router_.take(1), 18), i);
}

TEST_F(ArpTest, AtMostOneRequestASecondPerTarget) {
  for (int i = 0; i < 100; ++i) {
    router_.receive(0, numbered(1));
    router_.advance(5 * kMillisecond);
  }
  EXPECT_EQ(router_.environment.sent[1].size(), 1U);
  router_.advance(499 * kMillisecond);
  EXPECT_EQ(router_.environment.sent[1].size(), 1U);
  router_.advance(1 * kMillisecond);
  EXPECT_EQ(router_.environment.sent[1].size(), 2U);
}

TEST_F(ArpTest, GivesUpAfterThreeRequestsAndTellsTheSender) {
  router_.meet(0, 2);
  const Bytes packet = ipv4({});
  router_.receive(0, from_host(0, 2, packet));
  router_.advance(2999 * kMillisecond);
  EXPECT_EQ(router_.environment.sent[1].size(), 3U);
  EXPECT_TRUE(router_.environment.sent[0].empty());
  router_.advance(1 * kMillisecond);
  EXPECT_EQ(router_.environment.sent[1].size(), 3U);
  EXPECT_EQ(router_.drops(DropReason::neighbor_unresolved), 1U);
  // Host unreachable; the quoted packet has passed this hop.
  const Bytes error = router_.take(0);
  EXPECT_EQ(get16(error, 34), 0x0301U);
  EXPECT_EQ(get32(error, 14 + 28 + 16), ip("10.0.2.2"));
  EXPECT_EQ(router_.neighbor_state("10.0.2.2"), "failed");
}

TEST_F(ArpTest, FailedNeighboursAreAskedAgainOnDemand) {
  router_.meet(0, 2);
  router_.receive(0, numbered(1));
  router_.advance(3 * kSecond);
  router_.clear();
  // The last request was a second ago: a new packet starts anew.
  router_.receive(0, numbered(2));
  EXPECT_EQ(router_.take(1), request(1, "10.0.2.2"));
  EXPECT_EQ(router_.counters().held, 1U);
  router_.receive(1, reply(1, 2));
  EXPECT_EQ(get16(router_.take(1), 18), 2U);
}

TEST_F(ArpTest, FailedNeighboursAreForgotten) {
  router_.receive(0, numbered(1));
  router_.advance(3 * kSecond + arp::kFailedTime - kMillisecond);
  EXPECT_EQ(router_.neighbor_state("10.0.2.2"), "failed");
  router_.advance(kMillisecond);
  EXPECT_EQ(router_.neighbor_state("10.0.2.2"), "");
  router_.advance(4 * kSecond);  // the host that could not be told has been given up, too
  EXPECT_EQ(router_.router().poll(router_.now), kNever);
}

TEST_F(ArpTest, UsedNeighboursAreConfirmedByUnicast) {
  router_.meet_everybody();
  router_.advance(arp::kReachableTime);
  EXPECT_EQ(router_.neighbor_state("10.0.2.2"), "stale");
  EXPECT_TRUE(router_.silent());
  // The packet goes at once, with the address as known; the neighbour alone is asked.
  router_.receive(0, numbered(1));
  EXPECT_EQ(router_.take(1), request(1, "10.0.2.2", host_mac(1, 2)));
  EXPECT_EQ(get16(router_.take(1), 18), 1U);
  EXPECT_EQ(router_.neighbor_state("10.0.2.2"), "probe");
  router_.receive(0, numbered(2));
  EXPECT_EQ(get16(router_.take(1), 18), 2U);
  EXPECT_TRUE(router_.silent());
  router_.receive(1, reply(1, 2));
  EXPECT_EQ(router_.neighbor_state("10.0.2.2"), "reachable");
}

TEST_F(ArpTest, NeighboursThatDoNotAnswerProbesGo) {
  router_.meet_everybody();
  router_.advance(arp::kReachableTime);
  router_.receive(0, numbered(1));
  router_.advance(2999 * kMillisecond);
  EXPECT_EQ(router_.neighbor_state("10.0.2.2"), "probe");
  router_.advance(1 * kMillisecond);
  EXPECT_EQ(router_.neighbor_state("10.0.2.2"), "");
  // Three unicast requests and the packet.
  EXPECT_EQ(router_.environment.sent[1].size(), 4U);
  router_.clear();
  router_.receive(0, numbered(2));
  EXPECT_EQ(router_.take(1), request(1, "10.0.2.2"));
}

TEST_F(ArpTest, UnusedNeighboursGo) {
  router_.meet(1, 2);
  router_.advance(arp::kReachableTime + arp::kStaleTime - kMillisecond);
  EXPECT_EQ(router_.neighbor_state("10.0.2.2"), "stale");
  router_.advance(kMillisecond);
  EXPECT_EQ(router_.neighbor_state("10.0.2.2"), "");
  EXPECT_TRUE(router_.silent());
}

TEST_F(ArpTest, GratuitousArpUpdatesButDoesNotCreate) {
  const auto gratuitous = [](unsigned operation, const Mac& mac) {
    return ethernet(kBroadcast, mac, 0x0806, arp_packet({operation, mac, "10.0.2.2", kZeroMac, "10.0.2.2"}));
  };
  router_.receive(1, gratuitous(1, host_mac(1, 2)));
  EXPECT_EQ(router_.neighbor_state("10.0.2.2"), "");
  router_.meet(1, 2);
  for (const unsigned operation : {1U, 2U}) {
    router_.receive(1, gratuitous(operation, host_mac(1, 0x70 + operation)));
    router_.receive(0, numbered(1));
    EXPECT_EQ(head(router_.take(1), 6), host_mac(1, 0x70 + operation));
  }
  EXPECT_TRUE(router_.silent());
}

TEST_F(ArpTest, UnsolicitedRepliesForUsAreLearntOnLink) {
  router_.receive(1, reply(1, 2));
  router_.receive(0, numbered(1));
  EXPECT_EQ(head(router_.take(1), 6), host_mac(1, 2));
}

TEST_F(ArpTest, GatewayOnLinkByItsRouteMayAnswer) {
  router_.configure("ip route 172.16.0.0/12 192.168.7.1 eth1\n");
  router_.receive(0, from_host(0, 2, ipv4({.destination = "172.16.5.5"})));
  EXPECT_EQ(router_.take(1), request(1, "192.168.7.1"));
  router_.receive(1, ethernet(router_mac(1), host_mac(1, 7), 0x0806,
                              arp_packet({2, host_mac(1, 7), "192.168.7.1", router_mac(1), "10.0.2.1"})));
  EXPECT_EQ(head(router_.take(1), 6), host_mac(1, 7));
}

TEST_F(ArpTest, TheTableIsBoundedUnderAScan) {
  const std::size_t capacity = router_.router().state().plane.neighbors.entries().size();
  ASSERT_LT(capacity, 4096U);
  router_.configure("interface eth1\n no ip address 10.0.2.1/24\n ip address 10.64.0.1/16\n");
  for (std::uint32_t i = 0; i < 10000; ++i) {
    Bytes packet = ipv4({.destination = "10.64.1.0"});
    put32(packet, 16, ip("10.64.1.0") + i);
    fix_ip_checksum(packet);
    router_.receive(0, from_host(0, 2, packet));
  }
  EXPECT_EQ(router_.router().state().plane.neighbors.size(), capacity);
  EXPECT_LE(router_.counters().held, arp::kMaxHeld);
  EXPECT_GT(router_.drops(DropReason::neighbor_table_full), 0U);
  // A second later the old ones make room, and when everything has failed the table is empty again.
  router_.advance(kSecond);
  router_.advance(20 * kSecond);
  EXPECT_EQ(router_.router().state().plane.neighbors.size(), 0U);
  EXPECT_EQ(router_.counters().held, 0U);
}

TEST_F(ArpTest, ShutdownDropsWhatWaits) {
  router_.receive(0, numbered(1));
  EXPECT_EQ(router_.counters().held, 1U);
  router_.configure("interface eth1\n shutdown\n");
  EXPECT_EQ(router_.counters().held, 0U);
  EXPECT_EQ(router_.drops(DropReason::interface_down), 1U);
  EXPECT_EQ(router_.neighbor_state("10.0.2.2"), "");
}

TEST_F(ArpTest, WithoutBuffersRequestsAreRetried) {
  router_.environment.buffers = 1;  // the packet itself
  router_.receive(0, numbered(1));
  EXPECT_TRUE(router_.silent());
  router_.environment.buffers = 100;
  router_.advance(kSecond);
  EXPECT_EQ(router_.take(1), request(1, "10.0.2.2"));
}

}  // namespace
}  // namespace patchbay::router::test
