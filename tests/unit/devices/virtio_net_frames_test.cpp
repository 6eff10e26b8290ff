// Frames from and to the guest of a virtio-net card, as a correct driver and a correct worker see them.
#include <gtest/gtest.h>

#include "tests/unit/devices/packed_driver_ring.h"
#include "tests/unit/devices/virtio_net_fixture.h"

namespace patchbay::devices::net {
namespace {

using testing::contents;
using testing::forward;
using testing::Guest;
using testing::kPlain;
using testing::make_frame;
using vswitch::DropReason;

// --- from the guest
// ------------------------------------------------------------------------------------------

TEST_F(VirtioNetTest, PullShowsTheHeaderCopiedAndTheRestInPlace) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  const auto small = make_frame(60, 1);
  const auto exact = make_frame(128, 2);
  const auto large = make_frame(1514, 3);
  for (const auto& frame : {small, exact, large})
    guest.driver.send(frame);
  guest.driver.kick();

  ASSERT_EQ(pull(guest).size(), 3U);
  EXPECT_EQ(contents((*burst)[0]), small);
  EXPECT_EQ(contents((*burst)[1]), exact);
  EXPECT_EQ(contents((*burst)[2]), large);
  EXPECT_TRUE((*burst)[0].tail.empty());
  EXPECT_TRUE((*burst)[1].tail.empty());
  ASSERT_EQ((*burst)[2].tail.size(), 1U);
  const std::byte* tail = (*burst)[2].tail[0].data();
  EXPECT_GE(tail, guest.ram.bytes().data());
  EXPECT_LT(tail, guest.ram.bytes().data() + guest.ram.bytes().size());
  guest.card.release(3);
  EXPECT_EQ(guest.driver.reclaim(), 3U);
  EXPECT_EQ(guest.card.counters.in.frames.value(), 0U) << "the segment counts what it takes";
}

TEST_F(VirtioNetTest, TransmittedBuffersComeBackWithLengthZero) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  guest.driver.send(make_frame(60));
  guest.driver.kick();
  pull(guest);
  guest.card.release(1);
  EXPECT_EQ(guest.driver.tx().poll()->length, 0U);
}

TEST_F(VirtioNetTest, FrameMayBeScatteredInAnyWay) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  const auto frame = make_frame(300);
  const std::uint64_t at = guest.ram.allocate(512);
  guest.ram.store(at, NetHeader{});
  std::memcpy(guest.ram.at(at + 12), frame.data(), frame.size());
  // Header in two parts, its second part with the first bytes of the frame, and two more cuts.
  guest.driver.tx().add({{at, 5}, {at + 5, 17}, {at + 22, 150}, {at + 172, 140}});
  guest.driver.kick();
  ASSERT_EQ(pull(guest).size(), 1U);
  EXPECT_EQ((*burst)[0].length, 300U);
  EXPECT_EQ(contents((*burst)[0]), frame);
  guest.card.release(1);
}

TEST_F(VirtioNetTest, IndirectChainsCarryFrames) {
  Guest guest({.features = kPlain | virtio::kFeatureIndirectDescriptors});
  ASSERT_TRUE(guest.driver.start());
  const auto frame = make_frame(1000);
  const std::uint64_t at = guest.ram.allocate(1100);
  guest.ram.store(at, NetHeader{});
  std::memcpy(guest.ram.at(at + 12), frame.data(), frame.size());
  const testing::DriverRing::Buffer buffers[] = {{at, 12}, {at + 12, 500}, {at + 512, 500}};
  guest.driver.tx().add_indirect(buffers);
  guest.driver.kick();
  ASSERT_EQ(pull(guest).size(), 1U);
  EXPECT_EQ(contents((*burst)[0]), frame);
  guest.card.release(1);
  EXPECT_EQ(guest.driver.reclaim(), 1U);
}

TEST_F(VirtioNetTest, HeaderThatDpdkMarksWritableInATableIsRead) {
  Guest guest;
  testing::PackedDriverRing tx(guest.ram, 256);
  guest.card.write_status(virtio::kAcknowledge | virtio::kDriver);
  constexpr auto kFeatures = kPlain | virtio::kFeatureIndirectDescriptors | virtio::kFeaturePackedRing;
  guest.card.write_driver_features(0, static_cast<std::uint32_t>(kFeatures));
  guest.card.write_driver_features(1, static_cast<std::uint32_t>(kFeatures >> 32));
  constexpr virtio::Status kReady = virtio::kAcknowledge | virtio::kDriver | virtio::kFeaturesOk;
  guest.card.write_status(kReady);
  guest.card.configure_queue(VirtioNet::kTransmitQueue,
                             [&](virtio::RingSetup& setup) { setup = tx.setup(); });
  guest.card.enable_queue(VirtioNet::kTransmitQueue);
  guest.card.write_status(kReady | virtio::kDriverOk);

  const auto frame = make_frame(1000);
  const std::uint64_t at = guest.ram.allocate(1100);
  guest.ram.store(at, NetHeader{});
  std::memcpy(guest.ram.at(at + 12), frame.data(), frame.size());
  const testing::PackedDriverRing::Buffer buffers[] = {{at, 12, true}, {at + 12, 500}, {at + 512, 500}};
  ASSERT_TRUE(tx.add_indirect(buffers));
  ASSERT_EQ(pull(guest).size(), 1U);
  EXPECT_EQ(contents((*burst)[0]), frame);
  guest.card.release(1);
  EXPECT_TRUE(tx.poll());
  EXPECT_EQ(guest.card.status() & virtio::kNeedsReset, 0);
}

TEST_F(VirtioNetTest, FramesNotReleasedArePulledAgain) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  for (unsigned i = 0; i < 5; ++i)
    guest.driver.send(make_frame(60 + i, i));
  guest.driver.kick();
  ASSERT_EQ(pull(guest).size(), 5U);
  guest.card.release(2);
  EXPECT_EQ(guest.driver.reclaim(), 2U);
  ASSERT_EQ(pull(guest).size(), 3U);
  EXPECT_EQ(contents((*burst)[0]), make_frame(62, 2));
  guest.card.release(0);
  EXPECT_EQ(guest.driver.reclaim(), 0U);
  ASSERT_EQ(pull(guest).size(), 3U);
  EXPECT_EQ(contents((*burst)[2]), make_frame(64, 4));
  guest.card.release(3);
  EXPECT_EQ(guest.driver.reclaim(), 3U);
  EXPECT_TRUE(pull(guest).empty());
}

TEST_F(VirtioNetTest, PullStopsAtABurst) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  for (unsigned i = 0; i < 100; ++i)
    guest.driver.send(make_frame(60, i));
  guest.driver.kick();
  EXPECT_EQ(pull(guest).size(), vswitch::kBurstFrames);
  guest.card.release(vswitch::kBurstFrames);
  EXPECT_EQ(guest.driver.queue_interrupts(VirtioNet::kTransmitQueue), 1U) << "one for the burst";
  EXPECT_EQ(pull(guest).size(), 100 - vswitch::kBurstFrames);
  guest.card.release(burst->size());
}

TEST_F(VirtioNetTest, MtuAndOneVlanTagPass) {
  VirtioNetConfig config = Guest::default_config();
  config.mtu = 1500;
  Guest guest({}, config);
  ASSERT_TRUE(guest.driver.start());
  guest.driver.send(make_frame(1518));
  guest.driver.kick();
  EXPECT_EQ(pull(guest).size(), 1U);
  guest.card.release(1);
  guest.driver.send(make_frame(1519));
  guest.driver.kick();
  EXPECT_TRUE(pull(guest).empty());
  EXPECT_EQ(guest.drops_in(DropReason::too_long), 1U);
  EXPECT_EQ(guest.card.counters.in.frames.value(), 1U);
  EXPECT_EQ(guest.card.counters.in.bytes.value(), 1519U);

  guest.driver.post();
  EXPECT_TRUE(push(guest, make_frame(1518)));
  EXPECT_TRUE(push(guest, make_frame(1519)));
  EXPECT_EQ(guest.card.counters.out.delivered.value(), 1U);
  EXPECT_EQ(guest.drops_out(DropReason::too_long), 1U);
}

// --- to the guest
// --------------------------------------------------------------------------------------------

TEST_F(VirtioNetTest, PushFillsOneBufferAFrame) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  guest.driver.post();
  for (const std::size_t bytes : {14U, 60U, 127U, 128U, 129U, 1514U}) {
    ASSERT_TRUE(push(guest, make_frame(bytes)));
    const auto received = guest.driver.receive();
    ASSERT_TRUE(received);
    EXPECT_EQ(received->frame, make_frame(bytes));
    EXPECT_EQ(received->header.buffers, 1);
    EXPECT_EQ(received->header.flags, 0);
    EXPECT_EQ(received->header.gso_type, 0);
  }
  EXPECT_EQ(guest.card.counters.out.delivered.value(), 6U);
  EXPECT_EQ(guest.card.counters.out.bytes.value(), 14U + 60 + 127 + 128 + 129 + 1514);
}

TEST_F(VirtioNetTest, MergeableBuffersAreFilledButTheLastAndPublishedTogether) {
  VirtioNetConfig config = Guest::default_config();
  config.mtu = 9000;
  Guest guest({.features = kPlain | kFeatureMergeableRx, .buffer_bytes = 1536}, config);
  ASSERT_TRUE(guest.driver.start());
  guest.driver.post();
  const auto frame = make_frame(4000);
  ASSERT_TRUE(push(guest, frame));
  EXPECT_EQ(guest.driver.rx().used_index(), 3);
  const auto received = guest.driver.receive();
  ASSERT_TRUE(received);
  EXPECT_EQ(received->header.buffers, 3);
  EXPECT_EQ(received->frame, frame);
  EXPECT_EQ(guest.driver.queue_interrupts(VirtioNet::kReceiveQueue), 1U);
}

TEST_F(VirtioNetTest, FrameOfExactlyTwoBuffersTakesTwo) {
  VirtioNetConfig config = Guest::default_config();
  config.mtu = 9000;
  Guest guest({.features = kPlain | kFeatureMergeableRx, .buffer_bytes = 1536}, config);
  ASSERT_TRUE(guest.driver.start());
  guest.driver.post();
  const auto frame = make_frame(2 * 1536 - 12);
  ASSERT_TRUE(push(guest, frame));
  EXPECT_EQ(guest.driver.rx().used_index(), 2);
  const auto received = guest.driver.receive();
  ASSERT_TRUE(received);
  EXPECT_EQ(received->header.buffers, 2);
  EXPECT_EQ(received->frame, frame);
}

TEST_F(VirtioNetTest, BurstIsPublishedWithOneInterrupt) {
  Guest a;
  Guest b({.features = kPlain | virtio::kFeatureEventIndex});
  ASSERT_TRUE(a.driver.start());
  ASSERT_TRUE(b.driver.start());
  b.driver.post();
  for (unsigned i = 0; i < 10; ++i)
    a.driver.send(make_frame(60, i));
  a.driver.kick();
  EXPECT_EQ(forward(a.card, b.card, *burst), 10U);
  EXPECT_EQ(b.driver.queue_interrupts(VirtioNet::kReceiveQueue), 1U);
  EXPECT_EQ(a.driver.queue_interrupts(VirtioNet::kTransmitQueue), 1U);
  for (unsigned i = 0; i < 10; ++i)
    EXPECT_EQ(b.driver.receive()->frame, make_frame(60, i));
}

TEST_F(VirtioNetTest, NoInterruptWhereTheDriverPolls) {
  for (const virtio::FeatureSet extra : {virtio::FeatureSet{0}, virtio::kFeatureEventIndex}) {
    Guest a({.features = kPlain | extra});
    Guest b({.features = kPlain | extra});
    ASSERT_TRUE(a.driver.start());
    ASSERT_TRUE(b.driver.start());
    b.driver.post();
    a.driver.tx().disable_interrupts();
    b.driver.rx().disable_interrupts();
    a.driver.send(make_frame(60));
    a.driver.kick();
    EXPECT_EQ(forward(a.card, b.card, *burst), 1U);
    EXPECT_EQ(b.driver.queue_interrupts(VirtioNet::kReceiveQueue), 0U);
    EXPECT_EQ(a.driver.queue_interrupts(VirtioNet::kTransmitQueue), 0U);
    EXPECT_TRUE(b.driver.receive());
    EXPECT_EQ(a.driver.reclaim(), 1U);
  }
}

TEST_F(VirtioNetTest, PushReportsFramesThatFoundNoRoom) {
  Guest a;
  Guest b;
  ASSERT_TRUE(a.driver.start());
  ASSERT_TRUE(b.driver.start());
  b.driver.post(3);
  for (unsigned i = 0; i < 5; ++i)
    a.driver.send(make_frame(60, i));
  a.driver.kick();
  EXPECT_EQ(forward(a.card, b.card, *burst), 3U);
  EXPECT_EQ(forward(a.card, b.card, *burst), 0U);
  b.driver.post(2);
  EXPECT_EQ(forward(a.card, b.card, *burst), 2U);
  for (unsigned i = 0; i < 5; ++i)
    EXPECT_EQ(b.driver.receive()->frame, make_frame(60, i));
  EXPECT_EQ(a.driver.reclaim(), 5U);
}

TEST_F(VirtioNetTest, EveryByteIsCopiedExactlyOnce) {
  VirtioNetConfig config = Guest::default_config();
  config.mtu = 9000;
  Guest a({.ring_size = 16, .buffer_bytes = 9216}, config);
  Guest b({.features = kPlain | kFeatureMergeableRx}, config);
  ASSERT_TRUE(a.driver.start());
  ASSERT_TRUE(b.driver.start());
  b.driver.post();
  const std::size_t sizes[] = {60, 128, 129, 1514, 9014};
  std::uint64_t total = 0;
  std::uint64_t headers = 0;
  for (const std::size_t bytes : sizes) {
    a.driver.send(make_frame(bytes));
    total += bytes;
    headers += std::min<std::size_t>(bytes, vswitch::kHeaderBytes);
  }
  a.driver.kick();
  ASSERT_EQ(forward(a.card, b.card, *burst), 5U);
  EXPECT_EQ(a.card.copied().out_of_guest, headers);
  EXPECT_EQ(a.card.copied().into_guest, 0U);
  EXPECT_EQ(b.card.copied().into_guest, total);
  EXPECT_EQ(b.card.copied().out_of_guest, 0U);
  for (const std::size_t bytes : sizes)
    EXPECT_EQ(b.driver.receive()->frame, make_frame(bytes));
}

// --- offloads
// ------------------------------------------------------------------------------------------------

TEST_F(VirtioNetTest, OffloadsPassBetweenGuestsThatNegotiatedThem) {
  VirtioNetConfig config = Guest::default_config();
  config.offloads = true;
  const FeatureSet wanted = kPlain | kFeatureMergeableRx | kOffloadFeatures;
  Guest a({.features = wanted, .ring_size = 16, .buffer_bytes = 65'600}, config);
  Guest b({.features = wanted}, config);
  ASSERT_TRUE(a.driver.start());
  ASSERT_TRUE(b.driver.start());
  EXPECT_EQ(b.card.accepts(), (vswitch::OffloadSet{true, true, true, true, true}));
  b.driver.post();
  const auto frame = make_frame(64'000);
  NetHeader header;
  header.flags = vswitch::Offload::kNeedsChecksum;
  header.gso_type = vswitch::Offload::kGsoTcp4;
  header.gso_size = 1460;
  header.header_length = 54;
  header.checksum_start = 34;
  header.checksum_offset = 16;
  a.driver.send(frame, header);
  a.driver.kick();
  ASSERT_EQ(forward(a.card, b.card, *burst), 1U);
  const auto received = b.driver.receive();
  ASSERT_TRUE(received);
  EXPECT_EQ(received->frame, frame);
  EXPECT_EQ(received->header.flags, vswitch::Offload::kNeedsChecksum);
  EXPECT_EQ(received->header.gso_type, vswitch::Offload::kGsoTcp4);
  EXPECT_EQ(received->header.gso_size, 1460);
  EXPECT_EQ(received->header.checksum_start, 34);
  EXPECT_EQ(received->header.checksum_offset, 16);
  EXPECT_EQ(received->header.buffers, (64'000 + 12 + 2047) / 2048);
}

TEST_F(VirtioNetTest, FrameWithAnOffloadTheDriverDidNotTakeIsDropped) {
  VirtioNetConfig config = Guest::default_config();
  config.offloads = true;
  Guest guest({.features = kPlain}, config);  // offered, not acknowledged
  ASSERT_TRUE(guest.driver.start());
  guest.driver.post();
  EXPECT_EQ(guest.card.accepts(), vswitch::OffloadSet{});
  vswitch::Offload offload;
  offload.flags = vswitch::Offload::kNeedsChecksum;
  EXPECT_TRUE(push(guest, make_frame(100), offload));
  EXPECT_EQ(guest.drops_out(DropReason::bad_offload), 1U);
  EXPECT_FALSE(guest.driver.receive());
}

TEST_F(VirtioNetTest, ReportOfAVerifiedChecksumIsNotPassedToADriverWithoutTheFeature) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  guest.driver.post();
  vswitch::Offload offload;
  offload.flags = vswitch::Offload::kDataValid;
  EXPECT_TRUE(push(guest, make_frame(100), offload));
  EXPECT_EQ(guest.driver.receive()->header.flags, 0);
}

}  // namespace
}  // namespace patchbay::devices::net
