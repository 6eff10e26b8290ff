// Fragmentation (RFC 791, 3.2): what is cut apart must fit together again.
#include <gtest/gtest.h>

#include <map>

#include "tests/unit/router/test_router.h"

namespace patchbay::router::test {
namespace {

/// Puts the payload of the fragments in `frames` together and checks that they are well-formed.
Bytes reassemble(const std::deque<Bytes>& frames, std::size_t mtu, bool& more) {
  std::map<std::size_t, Bytes> pieces;
  more = true;
  for (const auto& frame : frames) {
    const Bytes packet = tail(frame, 14);
    const std::size_t header = (packet.at(0) & 0xFU) * 4;
    EXPECT_EQ(reference_checksum(packet, 0, header), 0);
    EXPECT_LE(packet.size(), mtu);
    EXPECT_EQ(get16(packet, 2), packet.size());
    const std::size_t offset = 8 * (get16(packet, 6) & 0x1FFF);
    const bool last = (get16(packet, 6) & 0x2000) == 0;
    if (!last) {
      EXPECT_EQ((packet.size() - header) % 8, 0U);
    }
    if (last) more = false;
    EXPECT_TRUE(pieces.emplace(offset, tail(packet, header)).second);
  }
  Bytes whole;
  const std::size_t first = pieces.begin()->first;
  for (const auto& [offset, bytes] : pieces) {
    EXPECT_EQ(offset, first + whole.size());
    whole = whole + bytes;
  }
  return whole;
}

class Fragment : public testing::Test {
 protected:
  Fragment() { router_.meet_everybody(); }
  TestRouter router_{kThreeNetworks, 9000};
};

Bytes counting(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 256);
  return bytes;
}

TEST_F(Fragment, RoundTripForManySizesAndMtus) {
  for (const std::size_t mtu : {68U, 69U, 75U, 76U, 576U, 1500U}) {
    router_.configure("interface eth1\n mtu " + std::to_string(mtu) + "\n");
    for (const std::size_t size : {mtu - 19, mtu - 12, 2 * mtu, 4000UL}) {
      const Bytes payload = counting(size);
      const auto made = router_.counters().fragments_made;
      router_.receive(0, from_host(0, 2, ipv4({.payload = payload})));
      bool more = true;
      EXPECT_EQ(reassemble(router_.environment.sent[1], mtu, more), payload) << mtu << ' ' << size;
      EXPECT_FALSE(more);
      const std::size_t room = (mtu - 20) / 8 * 8;
      // All fragments but the last are as large as can be.
      const std::size_t expected = 1 + (size - std::min(size, mtu - 20) + room - 1) / room;
      EXPECT_EQ(router_.environment.sent[1].size(), expected) << mtu << ' ' << size;
      EXPECT_EQ(router_.counters().fragments_made, made + expected);
      router_.clear();
    }
  }
}

TEST_F(Fragment, HeaderFieldsAreKept) {
  router_.configure("interface eth1\n mtu 600\n");
  router_.receive(
      0, from_host(
             0, 2,
             ipv4({.ttl = 9, .protocol = 47, .tos = 0x2E, .identification = 77, .payload = counting(1000)})));
  ASSERT_EQ(router_.environment.sent[1].size(), 2U);
  const Bytes first = router_.take(1);
  EXPECT_EQ(first, ethernet(host_mac(1, 2), router_mac(1), 0x0800,
                            ipv4({.ttl = 8,
                                  .protocol = 47,
                                  .tos = 0x2E,
                                  .identification = 77,
                                  .flags_offset = 0x2000,
                                  .payload = head(counting(1000), 576)})));
  const Bytes second = router_.take(1);
  EXPECT_EQ(second, ethernet(host_mac(1, 2), router_mac(1), 0x0800,
                             ipv4({.ttl = 8,
                                   .protocol = 47,
                                   .tos = 0x2E,
                                   .identification = 77,
                                   .flags_offset = 72,
                                   .payload = tail(counting(1000), 576)})));
}

TEST_F(Fragment, FragmentsOfFragmentsKeepOffsetAndMoreFragments) {
  router_.configure("interface eth1\n mtu 300\n");
  const Bytes payload = counting(800);
  router_.receive(0, from_host(0, 2, ipv4({.flags_offset = 0x2000 | 100, .payload = payload})));
  bool more = false;
  EXPECT_EQ(get16(router_.environment.sent[1].front(), 20), 0x2000U | 100);
  EXPECT_EQ(reassemble(router_.environment.sent[1], 300, more), payload);
  EXPECT_TRUE(more);
}

TEST_F(Fragment, OptionsWithTheCopiedFlagOnly) {
  router_.configure("interface eth1\n mtu 200\n");
  // Router alert (copied) between a record route and padding (not copied).
  const Bytes options{7, 7, 8, 1, 2, 3, 4, 148, 4, 0, 0, 1, 1, 1, 1, 0};
  router_.receive(0, from_host(0, 2, ipv4({.options = options, .payload = counting(400)})));
  ASSERT_EQ(router_.environment.sent[1].size(), 3U);
  const Bytes first = router_.take(1);
  EXPECT_EQ(first.at(14), 0x49);
  EXPECT_EQ(Bytes(first.begin() + 34, first.begin() + 50), options);
  for (int i = 0; i < 2; ++i) {
    const Bytes later = router_.take(1);
    EXPECT_EQ(later.at(14), 0x46);
    EXPECT_EQ(Bytes(later.begin() + 34, later.begin() + 38), (Bytes{148, 4, 0, 0}));
  }
}

TEST_F(Fragment, AllOrNothingWhenBuffersRunOut) {
  router_.configure("interface eth1\n mtu 576\n");
  router_.environment.buffers = 3;  // the packet and two fragments of four
  router_.receive(0, from_host(0, 2, ipv4({.payload = counting(2000)})));
  EXPECT_TRUE(router_.silent());
  EXPECT_EQ(router_.drops(DropReason::no_buffer), 1U);
}

TEST_F(Fragment, FragmentsWaitForTheNeighbour) {
  TestRouter router(kThreeNetworks, 9000);
  router.configure("interface eth1\n mtu 600\n");
  router.receive(0, from_host(0, 2, ipv4({.payload = counting(1000)})));
  EXPECT_EQ(router.counters().held, 2U);
  router.clear();
  router.meet(1, 2);
  bool more = true;
  EXPECT_EQ(reassemble(router.environment.sent[1], 600, more), counting(1000));
}

}  // namespace
}  // namespace patchbay::router::test
