// Packets for the router itself.
#include <gtest/gtest.h>

#include "tests/unit/router/test_router.h"

namespace patchbay::router::test {
namespace {

class Local : public testing::Test {
 protected:
  Local() { router_.meet_everybody(); }
  TestRouter router_;
};

TEST_F(Local, EchoReplyHasTheSameData) {
  for (const std::size_t size : {0U, 1U, 2U, 55U, 56U, 57U, 1471U, 1472U}) {
    Bytes data(size);
    for (std::size_t i = 0; i < size; ++i)
      data[i] = static_cast<std::uint8_t>(i);
    router_.receive(0, from_host(0, 2,
                                 ipv4({.destination = "10.0.1.1",
                                       .protocol = 1,
                                       .identification = 99,
                                       .flags_offset = 0x4000,
                                       .payload = icmp(8, 0, 0x12345678, data)})));
    const Bytes frame = router_.take(0);
    const Bytes expected = ipv4({.source = "10.0.1.1",
                                 .destination = "10.0.1.2",
                                 .ttl = 64,
                                 .protocol = 1,
                                 .identification = get16(frame, 18),
                                 .flags_offset = 0x4000,
                                 .payload = icmp(0, 0, 0x12345678, data)});
    EXPECT_EQ(frame, ethernet(host_mac(0, 2), router_mac(0), 0x0800, expected));
  }
  EXPECT_TRUE(router_.silent());
}

TEST_F(Local, EveryChecksumOfARequestGivesTheRightReply) {
  for (std::uint32_t sequence = 0; sequence <= 0xFFFF; sequence += 13) {
    router_.receive(
        0, from_host(0, 2,
                     ipv4({.destination = "10.0.1.1", .protocol = 1, .payload = icmp(8, 0, sequence, {})})));
    ASSERT_EQ(tail(router_.take(0), 34), icmp(0, 0, sequence, {}));
  }
}

TEST_F(Local, AddressesOfAllInterfacesAnswer) {
  router_.receive(
      0, from_host(0, 2, ipv4({.destination = "10.0.3.1", .protocol = 1, .payload = icmp(8, 0, 1, {})})));
  EXPECT_EQ(get32(router_.take(0), 26), ip("10.0.3.1"));
}

TEST_F(Local, ReplyFollowsTheRouteToTheSource) {
  router_.receive(0, from_host(0, 2,
                               ipv4({.source = "10.9.0.1",
                                     .destination = "10.0.1.1",
                                     .protocol = 1,
                                     .payload = icmp(8, 0, 1, {})})));
  const Bytes frame = router_.take(2);
  EXPECT_EQ(head(frame, 6), host_mac(2, 9));
  EXPECT_EQ(get32(frame, 26), ip("10.0.1.1"));
}

TEST_F(Local, BadIcmpIsDropped) {
  Bytes wrong = icmp(8, 0, 1, Bytes(9, 1));
  wrong[8] = static_cast<std::uint8_t>(wrong[8] ^ 1);
  router_.receive(0, from_host(0, 2, ipv4({.destination = "10.0.1.1", .protocol = 1, .payload = wrong})));
  router_.receive(0,
                  from_host(0, 2, ipv4({.destination = "10.0.1.1", .protocol = 1, .payload = Bytes(7, 0)})));
  router_.receive(0, from_host(0, 2, ipv4({.destination = "10.0.1.1", .protocol = 1, .payload = {}})));
  EXPECT_TRUE(router_.silent());
  EXPECT_EQ(router_.drops(DropReason::bad_icmp), 3U);
}

TEST_F(Local, OtherIcmpIsDroppedInSilence) {
  unsigned count = 0;
  for (const unsigned type : {0U, 3U, 4U, 5U, 9U, 11U, 12U, 13U, 17U, 30U, 255U}) {
    router_.receive(
        0,
        from_host(0, 2,
                  ipv4({.destination = "10.0.1.1", .protocol = 1, .payload = icmp(type, 0, 0, ipv4({}))})));
    EXPECT_EQ(router_.drops(DropReason::unhandled_icmp), ++count) << type;
  }
  EXPECT_TRUE(router_.silent());
}

}  // namespace
}  // namespace patchbay::router::test
