// Drivers that send what is no frame, to virtio-net: chains that hold none and headers that lie. It is
// dropped and counted; the next one goes through.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "tests/unit/devices/hostile_net_fixture.h"

namespace patchbay::devices::net {
namespace {

using testing::contents;
using testing::DriverRing;
using testing::Guest;
using testing::GuestRam;
using testing::kPlain;
using testing::make_frame;
using vswitch::DropReason;
using vswitch::FrameView;
using vswitch::Offload;

// --- chains that hold no frame
// ---------------------------------------------------------------------------------

TEST_F(HostileNet, Input19WritableElementInATransmitChain) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  const std::uint64_t at = guest.ram.allocate(256);
  guest.driver.tx().add({{at, 100}, {at + 100, 100, true}});
  expect_refused(guest, DropReason::malformed);
}

TEST_F(HostileNet, Input19TransmitChainOfWritableElementsOnly) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  guest.driver.tx().add({{guest.ram.allocate(256), 100, true}});
  expect_refused(guest, DropReason::malformed);
}

TEST_F(HostileNet, Input19ChainShorterThanTheHeader) {
  for (const std::uint32_t bytes : {0U, 1U, 10U, 11U}) {
    Guest guest;
    ASSERT_TRUE(guest.driver.start());
    guest.driver.tx().add({{guest.ram.allocate(256), bytes}});
    expect_refused(guest, DropReason::malformed);
  }
}

TEST_F(HostileNet, Input19FrameShorterThanAnEthernetHeader) {
  for (const std::uint32_t bytes : {12U, 13U, 25U}) {
    Guest guest;
    ASSERT_TRUE(guest.driver.start());
    guest.driver.tx().add({{guest.ram.allocate(256), bytes}});
    expect_refused(guest, DropReason::too_short);
  }
}

TEST_F(HostileNet, Input19FrameOfMegabytesCostsNothing) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  guest.driver.tx().add({{GuestRam::kBase, 4 << 20}});
  expect_refused(guest, DropReason::too_long);
}

TEST_F(HostileNet, FrameInMorePiecesThanTheSwitchTakes) {
  Guest guest({.features = kPlain | virtio::kFeatureIndirectDescriptors});
  ASSERT_TRUE(guest.driver.start());
  const std::uint64_t at = guest.ram.allocate(4096);
  std::vector<DriverRing::Buffer> buffers{{at, 12 + 128}};
  for (unsigned i = 0; i < vswitch::kMaxPieces + 1; ++i)
    buffers.push_back({at + 200 + 2 * i, 2});
  guest.driver.tx().add_indirect(buffers);
  expect_refused(guest, DropReason::malformed);
}

TEST_F(HostileNet, FrameInAsManyPiecesAsTheSwitchTakes) {
  Guest guest({.features = kPlain | virtio::kFeatureIndirectDescriptors});
  ASSERT_TRUE(guest.driver.start());
  const std::uint64_t at = guest.ram.allocate(4096);
  std::vector<DriverRing::Buffer> buffers{{at, 12 + 128}};
  for (unsigned i = 0; i < vswitch::kMaxPieces; ++i)
    buffers.push_back({at + 200 + 2 * i, 2});
  guest.driver.tx().add_indirect(buffers);
  guest.driver.kick();
  ASSERT_EQ(pull(guest), 1U);
  EXPECT_EQ((*burst)[0].length, 128 + 2 * vswitch::kMaxPieces);
  guest.card.release(1);
}

TEST_F(HostileNet, Input17OverlongChainIsRefused) {
  Guest guest({.features = kPlain | virtio::kFeatureIndirectDescriptors});
  ASSERT_TRUE(guest.driver.start());
  const std::uint64_t at = guest.ram.allocate(4096);
  const std::vector<DriverRing::Buffer> buffers(2000, {at, 1});
  guest.driver.tx().add_indirect(buffers);
  expect_refused(guest, DropReason::malformed);
}

TEST_F(HostileNet, RefusedChainBehindAFrameWaitsForTheNextPull) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  guest.driver.send(make_frame(60, 1));
  guest.driver.tx().add({{GuestRam::kBase, 5}});
  guest.driver.send(make_frame(60, 2));
  guest.driver.kick();
  EXPECT_EQ(pull(guest), 1U);
  EXPECT_EQ(guest.card.counters.in.frames.value(), 0U);
  guest.card.release(0);  // and is not counted twice when the frame before it is pulled again
  EXPECT_EQ(pull(guest), 1U);
  guest.card.release(1);
  EXPECT_EQ(pull(guest), 1U);
  EXPECT_EQ(contents((*burst)[0]), make_frame(60, 2));
  EXPECT_EQ(guest.drops_in(DropReason::malformed), 1U);
  guest.card.release(1);
  EXPECT_EQ(guest.driver.reclaim(), 3U);
}

// --- headers that lie
// ------------------------------------------------------------------------------------------

struct Lie {
  const char* name;
  FeatureSet acknowledged;
  NetHeader header;
};

class LyingHeader : public HostileNet, public ::testing::WithParamInterface<Lie> {};

NetHeader header(std::uint8_t flags, std::uint8_t gso_type, std::uint16_t gso_size, std::uint16_t start,
                 std::uint16_t offset) {
  NetHeader result;
  result.flags = flags;
  result.gso_type = gso_type;
  result.gso_size = gso_size;
  result.checksum_start = start;
  result.checksum_offset = offset;
  result.header_length = 54;
  return result;
}

constexpr FeatureSet kAll = kPlain | kOffloadFeatures;
constexpr FeatureSet kChecksumOnly = kPlain | kFeatureChecksum;

INSTANTIATE_TEST_SUITE_P(
    IsRefused, LyingHeader,
    ::testing::Values(Lie{"ChecksumNotNegotiated", kPlain, header(1, 0, 0, 34, 16)},
                      Lie{"ResultOneBytePastTheEnd", kAll, header(1, 0, 0, 34, 1000 - 34 - 1)},
                      Lie{"StartPastTheEnd", kAll, header(1, 0, 0, 1000, 0)},
                      Lie{"StartAndOffsetHuge", kAll, header(1, 0, 0, 0xFFFF, 0xFFFF)},
                      Lie{"SegmentSizeZero", kAll, header(1, Offload::kGsoTcp4, 0, 34, 16)},
                      Lie{"SegmentationWithoutChecksum", kAll, header(0, Offload::kGsoTcp4, 1460, 34, 16)},
                      Lie{"SegmentationNotNegotiated", kChecksumOnly,
                          header(1, Offload::kGsoTcp4, 1460, 34, 16)},
                      Lie{"OnlyTheOtherProtocolNegotiated", kChecksumOnly | kFeatureHostTso4,
                          header(1, Offload::kGsoTcp6, 1440, 54, 16)},
                      Lie{"EcnNotNegotiated", kChecksumOnly | kFeatureHostTso4,
                          header(1, Offload::kGsoTcp4 | Offload::kGsoEcn, 1460, 34, 16)},
                      Lie{"EcnAlone", kAll, header(1, Offload::kGsoEcn, 1460, 34, 16)},
                      Lie{"UdpFragmentationNeverOffered", kAll, header(1, Offload::kGsoUdp, 1480, 34, 6)},
                      Lie{"UdpSegmentationNotNegotiated", kAll & ~kFeatureHostUso,
                          header(1, Offload::kGsoUdpL4, 1472, 34, 6)},
                      Lie{"UnknownType", kAll, header(1, 2, 1460, 34, 16)},
                      Lie{"AllOnes", kAll, header(255, 255, 65535, 65535, 65535)}),
    [](const auto& suite) { return suite.param.name; });

TEST_P(LyingHeader, Input20IsRefused) {
  VirtioNetConfig config = Guest::default_config();
  config.offloads = true;
  Guest guest({.features = GetParam().acknowledged}, config);
  ASSERT_TRUE(guest.driver.start());
  guest.driver.send(make_frame(1000), GetParam().header);
  expect_refused(guest, DropReason::bad_offload);
}

TEST_F(HostileNet, Input20FalseHeaderLengthAndUnknownFlagsAreNotBelieved) {
  VirtioNetConfig config = Guest::default_config();
  config.offloads = true;
  Guest guest({.features = kAll}, config);
  ASSERT_TRUE(guest.driver.start());
  NetHeader lie = header(1 | 0xF0, Offload::kGsoTcp4, 100, 34, 16);
  lie.header_length = 0xFFFF;
  guest.driver.send(make_frame(1000), lie);
  guest.driver.kick();
  ASSERT_EQ(pull(guest), 1U);
  EXPECT_EQ((*burst)[0].offload.flags, Offload::kNeedsChecksum);
  EXPECT_EQ((*burst)[0].offload.header_length, 1000) << "at most the frame";
  guest.card.release(1);
}

TEST_F(HostileNet, ChecksumResultInTheLastTwoBytesIsAccepted) {
  VirtioNetConfig config = Guest::default_config();
  config.offloads = true;
  Guest guest({.features = kAll}, config);
  ASSERT_TRUE(guest.driver.start());
  guest.driver.send(make_frame(1000), header(1, 0, 0, 34, 1000 - 34 - 2));
  guest.driver.kick();
  EXPECT_EQ(pull(guest), 1U);
  guest.card.release(1);
}

TEST_F(HostileNet, Input25HeaderChangedAfterThePullHasNoEffect) {
  Guest a;
  Guest b;
  ASSERT_TRUE(a.driver.start());
  ASSERT_TRUE(b.driver.start());
  b.driver.post();
  const std::uint64_t at = a.ram.allocate(512);
  const auto frame = make_frame(100);
  a.ram.store(at, NetHeader{});
  std::memcpy(a.ram.at(at + 12), frame.data(), frame.size());
  a.driver.tx().add({{at, 112}});
  a.driver.kick();
  ASSERT_EQ(pull(a), 1U);
  std::memset(a.ram.at(at), 0xFF, 112);  // virtio-net header and frame, after they were checked
  const FrameView* frames[] = {&(*burst)[0]};
  EXPECT_EQ(b.card.push(frames), 1U);
  a.card.release(1);
  const auto received = b.driver.receive();
  EXPECT_EQ(received->frame, frame);
  EXPECT_EQ(received->header.flags, 0);
}

}  // namespace
}  // namespace patchbay::devices::net
