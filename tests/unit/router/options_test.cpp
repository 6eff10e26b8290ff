// IPv4 options: malformed ones, source routes, record route and timestamps.
#include <gtest/gtest.h>

#include "tests/unit/router/test_router.h"

namespace patchbay::router::test {
namespace {

class Options : public testing::Test {
 protected:
  Options() { router_.meet_everybody(); }

  void expect_parameter_problem(const Bytes& options, unsigned pointer) {
    const Bytes packet = ipv4({.options = options});
    router_.receive(0, from_host(0, 2, packet));
    EXPECT_EQ(tail(router_.take(0), 34), icmp(12, 0, pointer << 24, packet)) << pointer;
    EXPECT_TRUE(router_.silent());
    EXPECT_EQ(router_.drops(DropReason::ip_bad_options), ++bad_);
  }
  /// The options as they leave on eth1.
  Bytes forward(const Bytes& options) {
    router_.receive(0, from_host(0, 2, ipv4({.options = options})));
    const Bytes packet = tail(router_.take(1), 14);
    EXPECT_EQ(reference_checksum(packet, 0, 20 + options.size()), 0);
    EXPECT_EQ(packet.at(8), 63);
    return Bytes(packet.begin() + 20, packet.begin() + 20 + static_cast<std::ptrdiff_t>(options.size()));
  }

  TestRouter router_;
  unsigned bad_ = 0;
};

TEST_F(Options, MalformedLengths) {
  expect_parameter_problem({148, 0, 0, 0}, 21);  // shorter than itself
  expect_parameter_problem({148, 1, 0, 0}, 21);
  expect_parameter_problem({148, 5, 0, 0}, 21);  // beyond the header
  expect_parameter_problem({1, 1, 1, 7}, 23);    // no room for a length
  expect_parameter_problem({1, 7, 2, 0}, 22);    // record route without a pointer
  expect_parameter_problem({7, 3, 3, 0}, 22);    // pointer into the option's own header
  expect_parameter_problem({68, 3, 5, 0}, 21);   // timestamp without flags
  expect_parameter_problem({68, 4, 4, 0}, 22);
  expect_parameter_problem({68, 4, 5, 2}, 23);  // flag 2 is not defined
}

TEST_F(Options, HarmlessOnesPassUnchanged) {
  EXPECT_EQ(forward({1, 1, 1, 1}), (Bytes{1, 1, 1, 1}));
  EXPECT_EQ(forward({0, 0xFF, 0xFF, 0xFF}), (Bytes{0, 0xFF, 0xFF, 0xFF}));  // nothing counts after the end
  EXPECT_EQ(forward({148, 4, 0, 0}), (Bytes{148, 4, 0, 0}));
  EXPECT_EQ(forward(Bytes(40, 1)), Bytes(40, 1));
}

TEST_F(Options, SourceRoutesAreRefused) {
  for (const std::uint8_t type : Bytes{131, 137}) {
    const Bytes packet = ipv4({.options = {type, 7, 4, 10, 0, 2, 2, 0}});
    router_.receive(0, from_host(0, 2, packet));
    EXPECT_EQ(tail(router_.take(0), 34), icmp(3, 5, 0, packet));
    EXPECT_TRUE(router_.silent());
  }
  EXPECT_EQ(router_.drops(DropReason::source_routed), 2U);
}

TEST_F(Options, RecordRouteGetsTheOutgoingAddress) {
  EXPECT_EQ(forward({7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0}), (Bytes{7, 11, 8, 10, 0, 2, 1, 0, 0, 0, 0, 0}));
  EXPECT_EQ(forward({7, 11, 8, 1, 2, 3, 4, 0, 0, 0, 0, 0}), (Bytes{7, 11, 12, 1, 2, 3, 4, 10, 0, 2, 1, 0}));
  // Full, or without room for a whole address: forwarded as it is.
  EXPECT_EQ(forward({7, 7, 8, 1, 2, 3, 4, 0}), (Bytes{7, 7, 8, 1, 2, 3, 4, 0}));
  EXPECT_EQ(forward({7, 8, 6, 1, 2, 3, 4, 5}), (Bytes{7, 8, 6, 1, 2, 3, 4, 5}));
  EXPECT_EQ(forward({7, 7, 255, 1, 2, 3, 4, 0}), (Bytes{7, 7, 255, 1, 2, 3, 4, 0}));
}

TEST_F(Options, Timestamps) {
  router_.now = 123'456 * kMillisecond;
  const Bytes time{0x80, 0x01, 0xE2, 0x40};
  EXPECT_EQ(forward({68, 8, 5, 0, 0, 0, 0, 0}), (Bytes{68, 8, 9, 0}) + time);
  EXPECT_EQ(forward({68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0}), (Bytes{68, 12, 13, 1, 10, 0, 2, 1}) + time);
  // Flag 3: only the routers that the sender named.
  EXPECT_EQ(forward({68, 12, 5, 3, 10, 0, 2, 1, 0, 0, 0, 0}), (Bytes{68, 12, 13, 3, 10, 0, 2, 1}) + time);
  EXPECT_EQ(forward({68, 12, 5, 3, 10, 0, 9, 9, 0, 0, 0, 0}), (Bytes{68, 12, 5, 3, 10, 0, 9, 9, 0, 0, 0, 0}));
  // Full: the overflow counter in the high four bits, up to 15.
  EXPECT_EQ(forward({68, 8, 9, 0, 1, 2, 3, 4}), (Bytes{68, 8, 9, 0x10, 1, 2, 3, 4}));
  EXPECT_EQ(forward({68, 8, 9, 0xF0, 1, 2, 3, 4}), (Bytes{68, 8, 9, 0xF0, 1, 2, 3, 4}));
}

TEST_F(Options, EchoReplyBringsTheRouteBack) {
  const Bytes request = icmp(8, 0, 5, Bytes(8, 1));
  router_.receive(0, from_host(0, 2,
                               ipv4({.destination = "10.0.1.1",
                                     .protocol = 1,
                                     .options = {7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0},
                                     .payload = request})));
  const Bytes reply = tail(router_.take(0), 14);
  EXPECT_EQ(Bytes(reply.begin() + 20, reply.begin() + 32), (Bytes{7, 11, 8, 10, 0, 1, 1, 0, 0, 0, 0, 0}));
  EXPECT_EQ(reference_checksum(reply, 0, 32), 0);
  EXPECT_EQ(tail(reply, 32), icmp(0, 0, 5, Bytes(8, 1)));
}

}  // namespace
}  // namespace patchbay::router::test
