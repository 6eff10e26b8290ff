// Offloads across segments: who gets what, in which form, and how it is counted.
#include <gtest/gtest.h>

#include "tests/unit/vswitch/offload/packets.h"
#include "tests/unit/vswitch/recording_tap.h"
#include "vswitch/balance.h"
#include "vswitch/bridge.h"
#include "vswitch/wire.h"

namespace patchbay::vswitch {
namespace {

using namespace test;

constexpr OffloadSet kEverything{.checksum = true, .tso4 = true, .tso6 = true, .ecn = true, .uso = true};

class OffloadWire : public ::testing::Test {
 protected:
  void SetUp() override {
    wire_.attach(a_);
    wire_.attach(b_);
    lossless_.attach(c_);
    lossless_.attach(d_);
  }
  void TearDown() override {
    EXPECT_EQ(imbalances(wire_.snapshot()), std::vector<std::string>{});
    EXPECT_EQ(imbalances(lossless_.snapshot()), std::vector<std::string>{});
  }
  Packet send(MemoryPort& port, const PacketOptions& options) {
    Packet packet = make_packet(options);
    port.piece_bytes = 1500;
    port.send(packet.bytes, packet.offload);
    return packet;
  }
  static void expect_complete(const MemoryPort& port, const Packet& packet) {
    for (const MemoryPort::Frame& frame : port.received) {
      EXPECT_EQ(frame.offload.flags & Offload::kNeedsChecksum, 0);
      EXPECT_EQ(frame.offload.gso_type, Offload::kGsoNone);
      EXPECT_EQ(faults(frame.bytes, packet, false, false), "");
    }
  }

  MemoryPort a_{"a"}, b_{"b"}, c_{"c"}, d_{"d"};
  Wire wire_{"w", {}};
  Wire lossless_{"l", {.lossless = true}};
  std::unique_ptr<Workspace> space_ = std::make_unique<Workspace>();
};

TEST_F(OffloadWire, HandsLargeFramesOnWholeWhereTheyAreTaken) {
  b_.offloads = kEverything;
  const Packet packet = send(a_, {});
  wire_.forward(0, *space_);
  ASSERT_EQ(b_.received.size(), 1u);
  EXPECT_EQ(b_.received[0].bytes, packet.bytes);
  EXPECT_EQ(b_.received[0].offload.gso_type, Offload::kGsoTcp4);
  EXPECT_EQ(b_.counters.out.offered.value(), 1u);
}

TEST_F(OffloadWire, SegmentsForAPortThatTakesNothing) {
  const Packet packet = send(a_, {});
  wire_.forward(0, *space_);
  ASSERT_EQ(b_.received.size(), 3u);
  expect_complete(b_, packet);
  EXPECT_EQ(a_.counters.in.frames.value(), 1u) << "as the sender counts";
  EXPECT_EQ(a_.counters.in.bytes.value(), packet.bytes.size());
  EXPECT_EQ(a_.counters.in.forwarded.value(), 1u);
  EXPECT_EQ(a_.counters.in.copies.value(), 3u) << "as the wire carries them";
  EXPECT_EQ(b_.counters.out.offered.value(), 3u);
  EXPECT_EQ(b_.counters.out.delivered.value(), 3u);
}

TEST_F(OffloadWire, CompletesWhatIsNotCovered) {
  b_.offloads = {.checksum = true, .tso4 = true};
  const Packet plain = send(a_, {.payload = 500, .gso_size = 0});
  send(a_, {.ipv6 = true});
  Packet ecn = make_packet({});
  ecn.offload.gso_type |= Offload::kGsoEcn;
  a_.send(ecn.bytes, ecn.offload);
  wire_.forward(0, *space_);
  ASSERT_EQ(b_.received.size(), 1u + 3 + 3);
  EXPECT_EQ(b_.received[0].offload.flags, Offload::kNeedsChecksum) << "covered";
  EXPECT_EQ(b_.received[0].bytes, plain.bytes);
  EXPECT_EQ(b_.received[1].offload.flags, Offload::kDataValid) << "summed by the switch";
  EXPECT_EQ(b_.received[6].offload.gso_type, Offload::kGsoNone);
}

TEST_F(OffloadWire, KeepsTheOrderOfLargeAndSmallFrames) {
  std::vector<std::size_t> expected;
  for (std::size_t i = 0; i < 40; ++i) {
    const std::size_t payload = i % 3 == 0 ? 20'000 : 100 + i;
    send(a_, {.payload = payload, .gso_size = static_cast<std::uint16_t>(i % 3 == 0 ? 1000 : 0)});
    for (std::size_t left = payload; left != 0; left -= std::min<std::size_t>(left, 1000))
      expected.push_back(66 + std::min<std::size_t>(left, 1000));
  }
  while (!a_.to_send.empty())
    wire_.forward(0, *space_);
  std::vector<std::size_t> sizes;
  for (const auto& frame : b_.received)
    sizes.push_back(frame.bytes.size());
  EXPECT_EQ(sizes, expected);
}

TEST_F(OffloadWire, CountsSegmentsThatFindNoRoom) {
  b_.room = 10;
  const Packet packet = send(a_, {.payload = 60'000, .gso_size = 500});
  send(a_, {.payload = 1000});
  wire_.forward(0, *space_);
  EXPECT_EQ(b_.received.size(), 10u);
  expect_complete(b_, packet);
  EXPECT_EQ(b_.counters.out.offered.value(), 121u);
  EXPECT_EQ(b_.dropped_out(DropReason::no_room), 111u);
  EXPECT_EQ(a_.counters.in.forwarded.value(), 2u);
}

TEST_F(OffloadWire, DropsLiesAtTheirSource) {
  b_.offloads = kEverything;
  Packet lie = make_packet({});
  lie.offload.gso_size = 0;
  a_.send(lie.bytes, lie.offload);
  send(a_, {});
  wire_.forward(0, *space_);
  EXPECT_EQ(b_.received.size(), 1u);
  EXPECT_EQ(a_.dropped_in(DropReason::bad_offload), 1u);
  EXPECT_EQ(a_.counters.in.frames.value(), 2u);
}

TEST_F(OffloadWire, ShowsTapsWhatAWireWouldCarry) {
  RecordingTap tap_a, tap_b;
  wire_.set_tap(0, &tap_a);
  wire_.set_tap(1, &tap_b);
  b_.offloads = kEverything;
  b_.room = 40;
  const Packet packet = send(a_, {.payload = 70'000 - 5000, .gso_size = 1000});
  wire_.forward(0, *space_);
  ASSERT_EQ(tap_a.seen.size(), 65u) << "all that was sent";
  ASSERT_EQ(tap_b.seen.size(), 40u) << "what was delivered";
  for (std::size_t i = 0; i < 65; ++i) {
    EXPECT_EQ(faults(tap_a.seen[i].bytes, packet, false, false), "");
    EXPECT_TRUE(tap_a.seen[i].complete);
    EXPECT_EQ(tap_a.seen[i].id, tap_a.seen[0].id + i);
  }
  for (std::size_t i = 0; i < 40; ++i) {
    EXPECT_EQ(tap_b.seen[i].id, tap_a.seen[i].id);
    EXPECT_EQ(tap_b.seen[i].bytes, tap_a.seen[i].bytes);
    EXPECT_EQ(tap_b.seen[i].bytes, b_.received[i].bytes);
  }
  // The next frame has ids of its own.
  send(a_, {.payload = 100, .gso_size = 0});
  b_.room = 1;
  wire_.forward(0, *space_);
  EXPECT_EQ(tap_a.seen.back().id, tap_a.seen[0].id + 65);
}

TEST_F(OffloadWire, WaitsInTheMiddleOfALargeFrame) {
  const Packet packet = send(c_, {.payload = 10'000, .gso_size = 1000});
  send(c_, {.payload = 100, .gso_size = 0});
  RecordingTap tap_c;
  for (const bool tapped : {false, true}) {
    if (tapped) {
      lossless_.set_tap(0, &tap_c);
      send(c_, {.payload = 10'000, .gso_size = 1000});
      send(c_, {.payload = 100, .gso_size = 0});
    }
    d_.received.clear();
    for (const std::size_t room : {3U, 0U, 4U, 3U, 0U, 1U}) {
      d_.room = room;
      const auto outcome = lossless_.forward(0, *space_);
      EXPECT_EQ(outcome, room != 0 ? Segment::Outcome::progressed : Segment::Outcome::stalled);
    }
    EXPECT_TRUE(c_.to_send.empty());
    ASSERT_EQ(d_.received.size(), 11u);
    Bytes payload;
    for (std::size_t i = 0; i < 10; ++i) {
      EXPECT_EQ(faults(d_.received[i].bytes, packet, false, false), "");
      payload.insert(payload.end(), d_.received[i].bytes.begin() + 66, d_.received[i].bytes.end());
    }
    EXPECT_EQ(payload, Bytes(packet.bytes.begin() + 66, packet.bytes.end()));
  }
  EXPECT_EQ(tap_c.seen.size(), 11u) << "each segment once";
}

TEST_F(OffloadWire, ForgetsAHalfDeliveredFrameThatItsSenderTookBack) {
  send(c_, {.payload = 10'000, .gso_size = 1000});
  d_.room = 5;
  lossless_.forward(0, *space_);
  c_.to_send.clear();  // as after a reset of the card
  send(c_, {.payload = 4000, .gso_size = 1000, .seed = 2});
  d_.room = 100;
  lossless_.forward(0, *space_);
  EXPECT_EQ(d_.received.size(), 5u + 4u);
  // The sender took back what was not consumed, so the half that went counts as copies only.
  EXPECT_EQ(c_.counters.in.frames.value(), 1u);
  EXPECT_EQ(c_.counters.in.copies.value(), 9u);
}

TEST(OffloadBridge, GivesEachDestinationWhatItTakes) {
  MemoryPort source("source"), plain("plain"), able("able");
  Bridge bridge("br", {});
  for (MemoryPort* port : {&source, &plain, &able})
    bridge.attach(*port);
  able.offloads = kEverything;
  RecordingTap tap;
  const auto space = std::make_unique<Workspace>();
  source.piece_bytes = 1500;
  const Packet packet = make_packet({});
  const Packet small = make_packet({.payload = 200, .gso_size = 0});
  for (const bool tapped : {false, true}) {
    if (tapped) bridge.set_tap(0, &tap);
    source.send(packet.bytes, packet.offload);
    source.send(small.bytes, small.offload);
    bridge.forward(0, *space);
    ASSERT_EQ(plain.received.size(), 4u);
    ASSERT_EQ(able.received.size(), tapped ? 4u : 2u);
    for (const auto& frame : plain.received)
      EXPECT_EQ(faults(frame.bytes, packet, false, false), "");
    plain.received.clear();
    able.received.clear();
  }
  EXPECT_EQ(tap.seen.size(), 4u);
  EXPECT_EQ(source.counters.in.forwarded.value(), 4u);
  EXPECT_EQ(source.counters.in.copies.value(), 4u + 2 + 4 + 4);
  EXPECT_EQ(imbalances(bridge.snapshot()), std::vector<std::string>{});
}

TEST(OffloadBridge, OneAfterTheOtherAlsoInABurstWithLies) {
  MemoryPort source("source"), plain("plain");
  Bridge bridge("br", {});
  bridge.attach(source);
  bridge.attach(plain);
  const auto space = std::make_unique<Workspace>();
  Packet lie = make_packet({});
  lie.offload.checksum_start = 9;
  const Packet good = make_packet({});
  source.piece_bytes = 1500;
  source.send(good.bytes, good.offload);
  source.send(lie.bytes, lie.offload);
  source.send(good.bytes, good.offload);
  bridge.forward(0, *space);
  EXPECT_EQ(plain.received.size(), 6u);
  EXPECT_EQ(source.dropped_in(DropReason::bad_offload), 1u);
  EXPECT_EQ(imbalances(bridge.snapshot()), std::vector<std::string>{});
}

}  // namespace
}  // namespace patchbay::vswitch
