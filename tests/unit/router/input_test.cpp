// Ethernet checks, IPv4 validation in the order of RFC 1812, 5.2.2, and addresses that must not be on a wire.
#include <gtest/gtest.h>

#include "tests/unit/router/test_router.h"

namespace patchbay::router::test {
namespace {

class Input : public testing::Test {
 protected:
  Input() { router_.meet_everybody(); }

  /// The frame is dropped for this reason, in silence.
  void expect_drop(const Bytes& frame, DropReason reason, unsigned i = 0) {
    const auto before = router_.drops(reason);
    const auto total = router_.counters().total_dropped();
    router_.receive(i, frame);
    EXPECT_EQ(router_.drops(reason), before + 1) << to_string(reason);
    EXPECT_EQ(router_.counters().total_dropped(), total + 1);
    EXPECT_TRUE(router_.silent()) << to_string(reason);
    router_.clear();
  }
  /// A good packet, changed by `change` and given a good checksum again.
  template <typename Change>
  static Bytes changed(Change change, bool fix = true) {
    Bytes packet = ipv4({});
    change(packet);
    if (fix) {
      put16(packet, 10, 0);
      put16(packet, 10, reference_checksum(packet, 0, 20));
    }
    return from_host(0, 2, packet);
  }

  TestRouter router_;
};

TEST_F(Input, ShortFrames) {
  const Bytes frame = from_host(0, 2, ipv4({}));
  expect_drop({}, DropReason::frame_too_short);
  expect_drop(head(frame, 13), DropReason::frame_too_short);
  for (std::size_t length = 14; length < 34; ++length)
    expect_drop(head(frame, length), DropReason::ip_too_short);
}

TEST_F(Input, ForeignDestinationMac) {
  expect_drop(ethernet(host_mac(0, 7), host_mac(0, 2), 0x0800, ipv4({})), DropReason::not_our_mac);
  expect_drop(ethernet(router_mac(1), host_mac(0, 2), 0x0800, ipv4({})), DropReason::not_our_mac);
}

TEST_F(Input, GroupOrZeroSourceMac) {
  expect_drop(ethernet(router_mac(0), kBroadcast, 0x0800, ipv4({})), DropReason::bad_source_mac);
  expect_drop(ethernet(router_mac(0), {1, 0, 0, 0, 0, 1}, 0x0800, ipv4({})), DropReason::bad_source_mac);
  expect_drop(ethernet(router_mac(0), kZeroMac, 0x0800, ipv4({})), DropReason::bad_source_mac);
}

TEST_F(Input, UnknownEtherTypes) {
  expect_drop(ethernet(router_mac(0), host_mac(0, 2), 0x86DD, ipv4({})), DropReason::unknown_ethertype);
  expect_drop(ethernet(router_mac(0), host_mac(0, 2), 0x8100, ipv4({})), DropReason::unknown_ethertype);
  expect_drop(ethernet(kBroadcast, host_mac(0, 2), 0x0026, Bytes(38, 0)), DropReason::unknown_ethertype);
}

TEST_F(Input, BadChecksumComesFirst) {
  expect_drop(changed([](Bytes& p) { p[10] = static_cast<std::uint8_t>(p[10] ^ 1); }, false),
              DropReason::ip_bad_checksum);
  // Version and length are wrong too: the checksum is looked at first.
  expect_drop(changed([](Bytes& p) { p[0] = 0x64; }, false), DropReason::ip_bad_checksum);
  expect_drop(changed([](Bytes& p) { put16(p, 2, 19); }, false), DropReason::ip_bad_checksum);
}

TEST_F(Input, EverySingleBitErrorInTheHeaderIsSeen) {
  const Bytes good = ipv4({});
  for (std::size_t bit = 0; bit < 160; ++bit) {
    Bytes packet = good;
    packet[bit / 8] = static_cast<std::uint8_t>(packet[bit / 8] ^ (1U << bit % 8));
    const auto dropped = router_.counters().total_dropped();
    router_.receive(0, from_host(0, 2, packet));
    EXPECT_EQ(router_.counters().total_dropped(), dropped + 1) << bit;
    EXPECT_TRUE(router_.silent()) << bit;
  }
}

TEST_F(Input, VersionHeaderLengthTotalLength) {
  expect_drop(changed([](Bytes& p) { p[0] = 0x65; }), DropReason::ip_bad_version);
  expect_drop(changed([](Bytes& p) { p[0] = 0x44; }), DropReason::ip_bad_header_length);
  expect_drop(changed([](Bytes& p) { p[0] = 0x40; }), DropReason::ip_bad_header_length);
  expect_drop(changed([](Bytes& p) { put16(p, 2, 19); }), DropReason::ip_bad_total_length);
  expect_drop(changed([](Bytes& p) { put16(p, 2, 0); }), DropReason::ip_bad_total_length);
  expect_drop(changed([](Bytes& p) { put16(p, 2, 37); }), DropReason::ip_truncated);
  expect_drop(changed([](Bytes& p) { put16(p, 2, 65535); }), DropReason::ip_truncated);
}

TEST_F(Input, HeaderLengthBeyondThePacket) {
  // IHL 15 in a packet of 36 bytes: the checksum covers what there is.
  Bytes packet = ipv4({});
  packet[0] = 0x4F;
  put16(packet, 10, 0);
  put16(packet, 10, reference_checksum(packet, 0, packet.size()));
  expect_drop(from_host(0, 2, packet), DropReason::ip_bad_header_length);
}

TEST_F(Input, TotalLengthShorterThanHeaderWithOptions) {
  Bytes packet = ipv4({.options = Bytes(8, 1)});
  put16(packet, 2, 24);
  fix_ip_checksum(packet);
  expect_drop(from_host(0, 2, packet), DropReason::ip_bad_total_length);
}

TEST_F(Input, EthernetPaddingIsTrimmed) {
  const Bytes packet = ipv4({.payload = Bytes(4, 7)});
  router_.receive(0, from_host(0, 2, packet + Bytes(22, 0xEE)));
  EXPECT_EQ(router_.take(1).size(), 14 + packet.size());
}

TEST_F(Input, MartianSources) {
  for (const char* source : {"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255", "224.0.0.1", "239.1.1.1",
                             "240.0.0.1", "255.255.255.255"}) {
    expect_drop(from_host(0, 2, ipv4({.source = source})), DropReason::martian_source);
  }
  // Broadcast and network address of the network it comes from.
  expect_drop(from_host(0, 2, ipv4({.source = "10.0.1.255"})), DropReason::martian_source);
  expect_drop(from_host(0, 2, ipv4({.source = "10.0.1.0"})), DropReason::martian_source);
}

TEST_F(Input, OwnAddressAsSource) {
  expect_drop(from_host(0, 2, ipv4({.source = "10.0.1.1"})), DropReason::own_source);
}

TEST_F(Input, MartianDestinations) {
  for (const char* destination : {"0.0.0.0", "0.9.9.9", "127.0.0.1", "240.0.0.1", "255.255.255.254"}) {
    expect_drop(from_host(0, 2, ipv4({.destination = destination})), DropReason::martian_destination);
  }
}

TEST_F(Input, BroadcastAndMulticastDestinations) {
  expect_drop(from_host(0, 2, ipv4({.destination = "255.255.255.255"})), DropReason::limited_broadcast);
  expect_drop(ethernet(kBroadcast, host_mac(0, 2), 0x0800, ipv4({.destination = "255.255.255.255"})),
              DropReason::limited_broadcast);
  expect_drop(ethernet({1, 0, 0x5E, 0, 0, 5}, host_mac(0, 2), 0x0800, ipv4({.destination = "224.0.0.5"})),
              DropReason::multicast);
  // Directed broadcast: of another connected network, of the own one, the obsolete all-zeros form, as echo.
  expect_drop(from_host(0, 2, ipv4({.destination = "10.0.2.255"})), DropReason::directed_broadcast);
  expect_drop(from_host(0, 2, ipv4({.destination = "10.0.2.0"})), DropReason::directed_broadcast);
  expect_drop(
      from_host(0, 2, ipv4({.destination = "10.0.1.255", .protocol = 1, .payload = icmp(8, 0, 1, {})})),
      DropReason::directed_broadcast);
}

TEST_F(Input, UnicastInALinkBroadcast) {
  expect_drop(ethernet(kBroadcast, host_mac(0, 2), 0x0800, ipv4({})), DropReason::link_broadcast);
  expect_drop(ethernet(kBroadcast, host_mac(0, 2), 0x0800,
                       ipv4({.destination = "10.0.1.1", .protocol = 1, .payload = icmp(8, 0, 1, {})})),
              DropReason::link_broadcast);
}

TEST_F(Input, InterfaceWithoutAddressOrDown) {
  router_.configure("interface eth0\n no ip address 10.0.1.1/24\n");
  expect_drop(from_host(0, 2, ipv4({})), DropReason::no_address);
  router_.configure("interface eth0\n shutdown\n");
  expect_drop(from_host(0, 2, ipv4({})), DropReason::interface_down);
  expect_drop(ethernet(kBroadcast, host_mac(0, 2), 0x0806,
                       arp_packet({1, host_mac(0, 2), "10.0.1.2", kZeroMac, "10.0.1.1"})),
              DropReason::interface_down);
}

TEST_F(Input, InterfaceCountersCountWhatComesAndIsDropped) {
  const auto before = router_.router().counters(0);
  const Bytes good = from_host(0, 2, ipv4({}));
  router_.receive(0, good);
  router_.receive(0, Bytes(10, 0));
  const auto& after = router_.router().counters(0);
  EXPECT_EQ(after.rx_frames, before.rx_frames + 2);
  EXPECT_EQ(after.rx_bytes, before.rx_bytes + good.size() + 10);
  EXPECT_EQ(after.rx_dropped, before.rx_dropped + 1);
  EXPECT_EQ(router_.router().counters(1).tx_frames, 1U + 1U + 1U);  // announcement, ARP reply, this packet
}

}  // namespace
}  // namespace patchbay::router::test
