// From configuration to routes: connected networks, static routes, distances, what is usable when.
#include <gtest/gtest.h>

#include "tests/unit/router/test_router.h"

namespace patchbay::router::test {
namespace {

std::string where(TestRouter& router, const std::string& address) {
  std::string line = router.run("show ip route " + address);
  return line.substr(0, line.find('\r'));
}

TEST(Routes, ConnectedLocalAndBroadcast) {
  TestRouter router;
  EXPECT_EQ(where(router, "10.0.1.77"), "10.0.1.77 is directly connected, eth0");
  EXPECT_EQ(where(router, "10.0.1.1"), "10.0.1.1 is an address of this router, eth0");
  EXPECT_EQ(where(router, "10.0.1.255"),
            "10.0.1.255 is the broadcast or network address of a network on eth0");
  EXPECT_EQ(where(router, "10.0.1.0"), "10.0.1.0 is the broadcast or network address of a network on eth0");
  EXPECT_EQ(where(router, "10.9.1.1"), "10.9.1.1 via 10.0.3.9, eth2");
  EXPECT_EQ(where(router, "10.10.0.0"), "% Network not in table");
}

TEST(Routes, PointToPointNetworksHaveNoBroadcast) {
  TestRouter router(
      "interface eth0\n ip address 10.1.0.0/31\ninterface eth1\n ip address 10.2.0.1/32\n"
      "ip route 0.0.0.0/0 10.1.0.1\n");
  EXPECT_EQ(where(router, "10.1.0.0"), "10.1.0.0 is an address of this router, eth0");
  EXPECT_EQ(where(router, "10.1.0.1"), "10.1.0.1 is directly connected, eth0");
  EXPECT_EQ(where(router, "10.2.0.1"), "10.2.0.1 is an address of this router, eth1");
  EXPECT_EQ(where(router, "10.2.0.0"), "10.2.0.0 via 10.1.0.1, eth0");
  EXPECT_EQ(where(router, "255.1.1.1"), "255.1.1.1 via 10.1.0.1, eth0");
}

TEST(Routes, AFrameCrossesA31) {
  TestRouter router("interface eth0\n ip address 10.0.1.1/24\ninterface eth1\n ip address 10.1.0.0/31\n");
  router.receive(0, from_host(0, 2, ipv4({.destination = "10.1.0.1"})));
  EXPECT_EQ(router.take(1), ethernet(kBroadcast, router_mac(1), 0x0806,
                                     arp_packet({1, router_mac(1), "10.1.0.0", kZeroMac, "10.1.0.1"})));
}

TEST(Routes, LongestPrefixWins) {
  TestRouter router(
      std::string(kThreeNetworks) +
      "ip route 0.0.0.0/0 10.0.1.2\nip route 10.0.0.0/8 10.0.2.2\nip route 10.9.8.0/24 10.0.1.3\n"
      "ip route 10.9.8.7/32 10.0.2.3\nip route 10.0.2.128/25 10.0.3.3\n");
  EXPECT_EQ(where(router, "192.0.2.1"), "192.0.2.1 via 10.0.1.2, eth0");
  EXPECT_EQ(where(router, "10.200.0.1"), "10.200.0.1 via 10.0.2.2, eth1");
  EXPECT_EQ(where(router, "10.9.1.1"), "10.9.1.1 via 10.0.3.9, eth2");
  EXPECT_EQ(where(router, "10.9.8.1"), "10.9.8.1 via 10.0.1.3, eth0");
  EXPECT_EQ(where(router, "10.9.8.7"), "10.9.8.7 via 10.0.2.3, eth1");
  EXPECT_EQ(where(router, "10.0.2.200"), "10.0.2.200 via 10.0.3.3, eth2");
  EXPECT_EQ(where(router, "10.0.2.255"),
            "10.0.2.255 is the broadcast or network address of a network on eth1");
}

TEST(Routes, TheSmallestDistanceThatIsUsable) {
  TestRouter router(
      std::string(kThreeNetworks) +
      "ip route 0.0.0.0/0 10.0.2.2 20\nip route 0.0.0.0/0 10.0.1.2 10\nip route 0.0.0.0/0 blackhole 250\n");
  EXPECT_EQ(where(router, "192.0.2.1"), "192.0.2.1 via 10.0.1.2, eth0");
  router.router().set_link(0, false, router.now);
  EXPECT_EQ(where(router, "192.0.2.1"), "192.0.2.1 via 10.0.2.2, eth1");
  router.configure("interface eth1\n shutdown\n");
  EXPECT_EQ(where(router, "192.0.2.1"), "192.0.2.1 blackhole");
  router.router().set_link(0, true, router.now);
  EXPECT_EQ(where(router, "192.0.2.1"), "192.0.2.1 via 10.0.1.2, eth0");
}

TEST(Routes, ConnectedBeatsStatic) {
  TestRouter router(std::string(kThreeNetworks) + "ip route 10.0.1.0/24 10.0.2.2\n");
  EXPECT_EQ(where(router, "10.0.1.9"), "10.0.1.9 is directly connected, eth0");
  router.configure("interface eth0\n shutdown\n");
  EXPECT_EQ(where(router, "10.0.1.9"), "10.0.1.9 via 10.0.2.2, eth1");
}

TEST(Routes, UnusableGateways) {
  // Off-link, our own address, a broadcast address.
  TestRouter router(
      std::string(kThreeNetworks) +
      "ip route 1.0.0.0/8 192.0.2.1\nip route 2.0.0.0/8 10.0.1.1\nip route 3.0.0.0/8 10.0.1.255\n");
  for (const char* address : {"1.1.1.1", "2.1.1.1", "3.1.1.1"}) {
    EXPECT_EQ(where(router, address), "% Network not in table");
  }
}

TEST(Routes, InterfaceRoutesAskForTheDestination) {
  TestRouter router(std::string(kThreeNetworks) + "ip route 172.16.0.0/24 eth1\n");
  router.receive(0, from_host(0, 2, ipv4({.destination = "172.16.0.5"})));
  EXPECT_EQ(get32(router.take(1), 14 + 24), ip("172.16.0.5"));
}

TEST(Routes, SecondAddressIsUsedTowardsItsNetwork) {
  TestRouter router("interface eth0\n ip address 10.0.1.1/24\n ip address 10.0.7.1/24\n");
  router.run("ping 10.0.7.9 count 1");
  router.advance(0);
  EXPECT_EQ(router.take(0), ethernet(kBroadcast, router_mac(0), 0x0806,
                                     arp_packet({1, router_mac(0), "10.0.7.1", kZeroMac, "10.0.7.9"})));
}

TEST(Routes, TableTooLargeForTheArenaIsReported) {
  TestRouter router("", 1500, 128 * 1024);
  std::string config = "interface eth0\n ip address 10.0.1.1/24\n";
  for (int i = 0; i < 20000; ++i) {
    config +=
        "ip route " + std::to_string(20 + i / 250) + "." + std::to_string(i % 250) + ".0.0/16 10.0.1.2\n";
  }
  ErrorList errors;
  EXPECT_GT(router.router().configure(config, errors, router.now), 0U);
  EXPECT_NE(errors.text().find("there is no room for more than"), std::string::npos);
  EXPECT_EQ(where(router, "20.0.1.1"), "20.0.1.1 via 10.0.1.2, eth0");
}

TEST(RouterCreate, RefusesWhatCannotWork) {
  TestEnvironment environment;
  TestTerminal terminal;
  std::vector<std::byte> memory(1 << 20);
  const auto create = [&](std::vector<InterfaceConfig> interfaces, std::size_t bytes = 1 << 20) {
    Arena arena(std::span<std::byte>(memory).first(bytes));
    return Router::create({interfaces, "r1", ""}, arena, environment, terminal) != nullptr;
  };
  const MacAddress mac{{2, 0, 0, 0, 0, 1}};
  EXPECT_TRUE(create({{"eth0", mac, 1500}}));
  EXPECT_TRUE(create({{"eth0", mac, 1500}, {"eth1", mac, 9500}}, 256 * 1024));
  EXPECT_FALSE(create({}));
  EXPECT_FALSE(create({{"", mac, 1500}}));
  EXPECT_FALSE(create({{"a-name-that-is-too-long", mac, 1500}}));
  EXPECT_FALSE(create({{"eth0", {{1, 0, 0, 0, 0, 1}}, 1500}}));
  EXPECT_FALSE(create({{"eth0", {}, 1500}}));
  EXPECT_FALSE(create({{"eth0", mac, 67}}));
  EXPECT_FALSE(create({{"eth0", mac, 65536}}));
  EXPECT_FALSE(create(std::vector<InterfaceConfig>(65, {"eth0", mac, 1500})));
  for (std::size_t bytes = 0; bytes < 100'000; bytes += 1000)
    create({{"eth0", mac, 1500}}, bytes);  // no crash
}

}  // namespace
}  // namespace patchbay::router::test
