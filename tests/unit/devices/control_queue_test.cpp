// The control queue, several queue pairs and packed rings of a virtio-net card, driven register by register
// as a guest does it.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/unit/devices/driver_ring.h"
#include "tests/unit/devices/net_fixture.h"
#include "tests/unit/devices/packed_driver_ring.h"

namespace patchbay::devices::net {
namespace {

using testing::contents;
using testing::GuestRam;
using testing::make_frame;
using vswitch::DropReason;
using Bytes = std::vector<std::byte>;

constexpr std::uint16_t kRing = 64;
constexpr std::uint32_t kBuffer = 2048;

/// A guest whose rings are all of one format.
template <typename Ring>
class Card : public virtio::Transport {
 public:
  explicit Card(FeatureSet features, std::uint16_t pairs = 1) {
    VirtioNetConfig config;
    config.mac = {0x02, 0, 0, 0, 0, 1};
    config.queue_pairs = pairs;
    card = std::make_unique<VirtioNet>("r1:eth0", config);
    card->connect(*this);
    features |= virtio::kFeatureVersion1 | virtio::kFeatureInOrder | kFeatureControlQueue;
    if (std::is_same_v<Ring, testing::PackedDriverRing>) features |= virtio::kFeaturePackedRing;
    card->write_status(virtio::kAcknowledge);
    card->write_status(virtio::kAcknowledge | virtio::kDriver);
    card->write_driver_features(0, static_cast<std::uint32_t>(features));
    card->write_driver_features(1, static_cast<std::uint32_t>(features >> 32));
    card->write_status(virtio::kAcknowledge | virtio::kDriver | virtio::kFeaturesOk);
    EXPECT_NE(card->status() & virtio::kFeaturesOk, 0);
    const unsigned data = (features & kFeatureMultiqueue) != 0 ? 2U * pairs : 2U;
    control_index = data;
    for (unsigned i = 0; i <= data; ++i) {
      rings.push_back(std::make_unique<Ring>(ram, kRing));
      card->configure_queue(i, [&](virtio::RingSetup& setup) { setup = rings[i]->setup(); });
      card->enable_queue(i);
    }
    card->write_status(virtio::kAcknowledge | virtio::kDriver | virtio::kFeaturesOk | virtio::kDriverOk);
    EXPECT_EQ(card->status(), 15);
  }
  ~Card() override { card->disconnect(); }

  static void show(testing::DriverRing& ring) { ring.publish(); }
  static void show(testing::PackedDriverRing&) {}

  /// Sends a command; the device's answer, or -1 for none.
  int command(const Bytes& bytes) {
    const std::uint64_t at = ram.allocate(bytes.size() + 64, 16);
    const std::uint64_t ack = ram.allocate(16, 16);
    std::copy(bytes.begin(), bytes.end(), ram.at(at));
    ram.store(ack, std::uint8_t{0xEE});
    // Header and data apart, as Linux does it.
    const std::uint32_t head = static_cast<std::uint32_t>(std::min<std::size_t>(bytes.size(), 2));
    std::vector<testing::DriverRing::Buffer> chain{{at, head}};
    if (bytes.size() > 2) chain.push_back({at + 2, static_cast<std::uint32_t>(bytes.size() - 2)});
    chain.push_back({ack, 1, true});
    rings[control_index]->add(chain);
    show(*rings[control_index]);
    card->notify(control_index);
    if (!rings[control_index]->poll()) return -1;
    return ram.template load<std::uint8_t>(ack);
  }
  int command(std::uint8_t group, std::uint8_t number, std::initializer_list<unsigned> data) {
    Bytes bytes{std::byte{group}, std::byte{number}};
    for (const unsigned value : data)
      bytes.push_back(static_cast<std::byte>(value));
    return command(bytes);
  }

  void post(unsigned pair, unsigned count = kRing) {
    for (unsigned i = 0; i < count; ++i)
      rings[2 * pair]->add({{ram.allocate(kBuffer, 64), kBuffer, true}});
    show(*rings[2 * pair]);
  }
  void send(unsigned pair, const Bytes& frame) {
    const std::uint64_t at = ram.allocate(kBuffer, 64);
    ram.store(at, NetHeader{});
    std::copy(frame.begin(), frame.end(), ram.at(at + sizeof(NetHeader)));
    rings[2 * pair + 1]->add({{at, static_cast<std::uint32_t>(sizeof(NetHeader) + frame.size())}});
    show(*rings[2 * pair + 1]);
  }
  /// Pushes one frame; true if it arrived in some queue.
  bool takes(const Bytes& frame) { return push({frame}) == 1 && last_delivered == 1; }
  std::size_t push(const std::vector<Bytes>& frames) {
    burst->clear();
    std::vector<const vswitch::FrameView*> views;
    for (const Bytes& frame : frames) {
      vswitch::FrameView& view = burst->next();
      view.length = static_cast<std::uint32_t>(frame.size());
      view.offload = {};
      std::copy_n(frame.begin(), std::min<std::size_t>(frame.size(), vswitch::kHeaderBytes),
                  view.header.begin());
      std::size_t pieces = 0;
      if (frame.size() > vswitch::kHeaderBytes) {
        burst->next_pieces()[pieces++] = std::span(frame).subspan(vswitch::kHeaderBytes);
      }
      burst->commit(pieces);
      views.push_back(&view);
    }
    const std::uint64_t before = card->counters.out.delivered.value();
    const std::size_t handled = card->push(views);
    last_delivered = card->counters.out.delivered.value() - before;
    return handled;
  }
  std::uint64_t dropped(DropReason reason) const {
    return card->counters.out.dropped[static_cast<std::size_t>(reason)].value();
  }
  std::uint16_t status_field() {
    std::array<std::byte, 2> bytes;
    card->read_config(6, bytes);
    return static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes[0]));
  }

  void raise_queue_interrupt(unsigned queue) noexcept override { ++interrupts[queue]; }
  void raise_config_interrupt() noexcept override { ++config_interrupts; }
  [[nodiscard]] bool memory_access_allowed() const noexcept override { return true; }
  [[nodiscard]] const GuestMemory& guest_memory() const noexcept override { return ram.memory(); }

  GuestRam ram{16 << 20};
  std::unique_ptr<VirtioNet> card;
  std::vector<std::unique_ptr<Ring>> rings;
  unsigned control_index = 0;
  std::unique_ptr<vswitch::Burst> burst = std::make_unique<vswitch::Burst>();
  std::uint64_t last_delivered = 0;
  std::array<unsigned, 40> interrupts{};
  unsigned config_interrupts = 0;
};

Bytes frame_to(std::initializer_list<unsigned> mac, unsigned vlan = 0) {
  Bytes frame = make_frame(64);
  std::transform(mac.begin(), mac.end(), frame.begin(), [](unsigned b) { return static_cast<std::byte>(b); });
  if (vlan != 0) {
    frame[12] = std::byte{0x81};
    frame[13] = std::byte{0};
    frame[14] = static_cast<std::byte>(vlan >> 8);
    frame[15] = static_cast<std::byte>(vlan);
  }
  return frame;
}
const Bytes kOwn = frame_to({2, 0, 0, 0, 0, 1});
const Bytes kOther = frame_to({2, 0, 0, 0, 0, 9});
const Bytes kBroadcast = frame_to({255, 255, 255, 255, 255, 255});
const Bytes kMulticast = frame_to({1, 0, 0x5E, 0, 0, 5});

template <typename Ring>
class ControlQueue : public ::testing::Test {};
using Formats = ::testing::Types<testing::DriverRing, testing::PackedDriverRing>;
class FormatNames {
 public:
  template <typename Ring>
  static std::string GetName(int) {
    return std::is_same_v<Ring, testing::DriverRing> ? "Split" : "Packed";
  }
};
TYPED_TEST_SUITE(ControlQueue, Formats, FormatNames);

constexpr FeatureSet kFilters =
    kFeatureControlRx | kFeatureControlRxExtra | kFeatureControlVlan | kFeatureControlMac;

TYPED_TEST(ControlQueue, FramesFlowBothWays) {
  Card<TypeParam> guest(kFeatureMergeableRx);
  guest.post(0);
  const Bytes large = make_frame(1500);
  EXPECT_EQ(guest.push({large, kOther}), 2U);
  EXPECT_EQ(guest.last_delivered, 2U);
  const auto used = guest.rings[0]->poll();
  ASSERT_TRUE(used);
  EXPECT_EQ(used->length, 1512U);
  for (int round = 0; round < 500; ++round) {
    guest.send(0, large);
    guest.burst->clear();
    guest.card->pull(*guest.burst);
    ASSERT_EQ(guest.burst->size(), 1U);
    EXPECT_EQ(contents((*guest.burst)[0]), large);
    guest.card->release(round % 3 == 0 ? 0 : 1);
    if (round % 3 == 0) {
      guest.burst->clear();
      guest.card->pull(*guest.burst);
      ASSERT_EQ(guest.burst->size(), 1U) << "not released, pulled again";
      guest.card->release(1);
    }
    const auto sent = guest.rings[1]->poll();
    ASSERT_TRUE(sent);
    EXPECT_EQ(sent->length, 0U);
  }
}

TYPED_TEST(ControlQueue, ReceiveModes) {
  Card<TypeParam> guest(kFilters);
  guest.post(0);
  EXPECT_TRUE(guest.takes(kOther)) << "everything passes until the driver has said otherwise";
  EXPECT_EQ(guest.command(0, 0, {0}), 0);
  EXPECT_TRUE(guest.takes(kOwn));
  EXPECT_FALSE(guest.takes(kOther));
  EXPECT_FALSE(guest.takes(kMulticast));
  EXPECT_TRUE(guest.takes(kBroadcast));
  EXPECT_EQ(guest.dropped(DropReason::filtered), 2U);
  EXPECT_EQ(guest.command(0, 1, {1}), 0);
  EXPECT_TRUE(guest.takes(kMulticast));
  EXPECT_EQ(guest.command(0, 3, {1}), 0);
  EXPECT_FALSE(guest.takes(kMulticast)) << "no multicast";
  EXPECT_EQ(guest.command(0, 2, {1}), 0);
  EXPECT_TRUE(guest.takes(kOther)) << "all unicast";
  EXPECT_EQ(guest.command(0, 4, {1}), 0);
  EXPECT_FALSE(guest.takes(kOwn)) << "no unicast";
  EXPECT_EQ(guest.command(0, 5, {1}), 0);
  EXPECT_FALSE(guest.takes(kBroadcast)) << "no broadcast";
  EXPECT_EQ(guest.command(0, 0, {1}), 0);
  EXPECT_TRUE(guest.takes(kBroadcast)) << "promiscuous again";
  EXPECT_EQ(guest.command(0, 6, {1}), 1) << "no such mode";
}

TYPED_TEST(ControlQueue, AddressTablesAndOwnAddress) {
  Card<TypeParam> guest(kFilters);
  guest.post(0);
  guest.command(0, 0, {0});
  EXPECT_EQ(guest.command(1, 0, {1, 0, 0, 0, 2, 0, 0, 0, 0, 9, 1, 0, 0, 0, 1, 0, 0x5E, 0, 0, 5}), 0);
  EXPECT_TRUE(guest.takes(kOther));
  EXPECT_TRUE(guest.takes(kMulticast));
  EXPECT_EQ(guest.command(1, 0, {0, 0, 0, 0, 0, 0, 0, 0}), 0);
  EXPECT_FALSE(guest.takes(kOther));
  EXPECT_EQ(guest.command(1, 1, {2, 0, 0, 0, 0, 9}), 0);
  EXPECT_TRUE(guest.takes(kOther));
  EXPECT_FALSE(guest.takes(kOwn));
  std::array<std::byte, 6> mac;
  guest.card->read_config(0, mac);
  EXPECT_EQ(mac[5], std::byte{9});
  guest.card->reset();
  guest.card->read_config(0, mac);
  EXPECT_EQ(mac[5], std::byte{1}) << "reset brings the card's own back";
}

TYPED_TEST(ControlQueue, VlanTable) {
  Card<TypeParam> guest(kFilters);
  guest.post(0);
  guest.command(0, 0, {0});
  const Bytes tagged = frame_to({2, 0, 0, 0, 0, 1}, 100);
  EXPECT_FALSE(guest.takes(tagged));
  EXPECT_EQ(guest.command(2, 0, {100, 0}), 0);
  EXPECT_TRUE(guest.takes(tagged));
  EXPECT_TRUE(guest.takes(kOwn)) << "untagged frames always pass";
  EXPECT_EQ(guest.command(2, 1, {100, 0}), 0);
  EXPECT_FALSE(guest.takes(tagged));
  EXPECT_EQ(guest.command(2, 0, {0, 0x10}), 1) << "4096 is no VLAN";
}

TYPED_TEST(ControlQueue, AFilteredFrameInABurstLeavesTheOthersInOrder) {
  Card<TypeParam> guest(kFilters);
  guest.command(0, 0, {0});
  guest.post(0, 2);
  EXPECT_EQ(guest.push({kOther, kOwn, kOther, kBroadcast, kOther, kOwn}), 5U) << "the last found no room";
  EXPECT_EQ(guest.last_delivered, 2U);
  EXPECT_EQ(guest.dropped(DropReason::filtered), 3U);
}

TYPED_TEST(ControlQueue, AnnouncementAfterTheLinkCameBack) {
  Card<TypeParam> guest(kFeatureAnnounce | kFeatureStatus);
  EXPECT_EQ(guest.status_field(), 1);
  guest.card->set_link(false);
  EXPECT_EQ(guest.status_field(), 0);
  guest.card->set_link(true);
  EXPECT_EQ(guest.status_field(), 3);
  EXPECT_EQ(guest.config_interrupts, 2U);
  EXPECT_EQ(guest.command(3, 0, {}), 0);
  EXPECT_EQ(guest.status_field(), 1);
}

TYPED_TEST(ControlQueue, GuestOffloadsAreSwitchedAtRunTime) {
  Card<TypeParam> guest(kFeatureControlOffloads | kFeatureGuestChecksum | kFeatureGuestTso4);
  EXPECT_EQ(guest.card->accepts(), (vswitch::OffloadSet{.checksum = true, .tso4 = true}));
  EXPECT_EQ(guest.command(5, 0, {0, 0, 0, 0, 0, 0, 0, 0}), 0);
  EXPECT_EQ(guest.card->accepts(), vswitch::OffloadSet{});
  EXPECT_EQ(guest.command(5, 0, {2, 0, 0, 0, 0, 0, 0, 0}), 0);
  EXPECT_EQ(guest.card->accepts(), vswitch::OffloadSet{.checksum = true});
  EXPECT_EQ(guest.command(5, 0, {0, 1, 0, 0, 0, 0, 0, 0}), 1) << "TSO6 was not negotiated";
  EXPECT_EQ(guest.card->accepts(), vswitch::OffloadSet{.checksum = true});
}

TYPED_TEST(ControlQueue, QueuePairsSpreadFlowsAndKeepTheirOrder) {
  Card<TypeParam> guest(kFeatureMultiqueue, 4);
  EXPECT_EQ(guest.control_index, 8U);
  for (unsigned pair = 0; pair < 4; ++pair)
    guest.post(pair);
  std::vector<Bytes> flows;
  for (unsigned i = 0; i < 40; ++i)
    flows.push_back(frame_to({2, 0, 0, 0, 0, i + 1}));
  EXPECT_EQ(guest.push(flows), 40U);
  const auto received = [&](unsigned pair) {
    std::size_t count = 0;
    while (guest.rings[2 * pair]->poll())
      ++count;
    return count;
  };
  EXPECT_EQ(received(0), 40U) << "one pair until the driver asks for more";
  EXPECT_EQ(guest.command(4, 0, {4, 0}), 0);
  EXPECT_EQ(guest.push(flows), 40U);
  std::size_t total = 0;
  for (unsigned pair = 0; pair < 4; ++pair) {
    const std::size_t count = received(pair);
    EXPECT_GT(count, 0U) << pair;
    total += count;
  }
  EXPECT_EQ(total, 40U);
  EXPECT_EQ(guest.push(std::vector<Bytes>(5, kOther)), 5U);
  unsigned used = 0;
  for (unsigned pair = 0; pair < 4; ++pair)
    used += received(pair) != 0 ? 1U : 0U;
  EXPECT_EQ(used, 1U) << "a flow stays in its queue";

  for (unsigned pair = 0; pair < 4; ++pair)
    guest.send(pair, make_frame(100, pair));
  EXPECT_EQ(guest.card->source_count(), 4U);
  for (unsigned pair = 0; pair < 4; ++pair) {
    vswitch::Source& source = guest.card->source(pair);
    EXPECT_TRUE(source.arm()) << pair << ": a frame waits";
    source.disarm();
    guest.burst->clear();
    source.pull(*guest.burst);
    ASSERT_EQ(guest.burst->size(), 1U) << pair << ": each transmit queue is a source";
    EXPECT_EQ((*guest.burst)[0].length, 100U);
    source.release(1);
  }
  for (unsigned pair = 0; pair < 4; ++pair)
    EXPECT_TRUE(guest.rings[2 * pair + 1]->poll()) << pair;
}

TYPED_TEST(ControlQueue, WithoutMultiqueueTheControlQueueIsTheThird) {
  Card<TypeParam> guest(kFilters, 4);
  EXPECT_EQ(guest.control_index, 2U);
  EXPECT_EQ(guest.command(0, 0, {1}), 0);
  EXPECT_EQ(guest.command(4, 0, {2, 0}), 1);
}

TYPED_TEST(ControlQueue, Input22CommandsThatMakeNoSenseAreRefused) {
  Card<TypeParam> guest(kFilters | kFeatureMultiqueue | kFeatureAnnounce | kFeatureControlOffloads, 2);
  guest.post(0);
  EXPECT_EQ(guest.command(Bytes{std::byte{0}}), 1) << "no command";
  EXPECT_EQ(guest.command(0, 0, {}), 1) << "no value";
  EXPECT_EQ(guest.command(1, 0, {1, 0}), 1) << "half a count";
  EXPECT_EQ(guest.command(1, 0, {1, 0, 0, 0, 2, 0, 0}), 1) << "half an address";
  EXPECT_EQ(guest.command(1, 0, {0, 0, 0, 0}), 1) << "no second table";
  EXPECT_EQ(guest.command(1, 0, {0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0}), 1) << "a table of 24 GiB";
  EXPECT_EQ(guest.command(1, 0, {0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF}), 1);
  EXPECT_EQ(guest.command(1, 1, {2, 0, 0}), 1) << "half an address";
  EXPECT_EQ(guest.command(1, 1, {1, 0, 0, 0, 0, 0}), 1) << "a group address";
  EXPECT_EQ(guest.command(1, 7, {0}), 1);
  EXPECT_EQ(guest.command(2, 0, {5}), 1) << "half a VLAN";
  EXPECT_EQ(guest.command(2, 9, {5, 0}), 1);
  EXPECT_EQ(guest.command(3, 1, {}), 1);
  EXPECT_EQ(guest.command(4, 0, {0, 0}), 1) << "no pair";
  EXPECT_EQ(guest.command(4, 0, {3, 0}), 1) << "more pairs than there are";
  EXPECT_EQ(guest.command(4, 0, {0xFF, 0xFF}), 1);
  EXPECT_EQ(guest.command(4, 0, {1}), 1);
  EXPECT_EQ(guest.command(5, 0, {0, 0}), 1);
  EXPECT_EQ(guest.command(99, 0, {0}), 1);
  EXPECT_TRUE(guest.takes(kOther)) << "nothing changed";
  EXPECT_EQ(guest.card->status(), 15);
}

TYPED_TEST(ControlQueue, Input22AHugeMacTableLetsAllPass) {
  Card<TypeParam> guest(kFilters);
  guest.post(0);
  guest.command(0, 0, {0});
  Bytes huge(2 + 4 + 1000 * 6 + 4);
  huge[0] = std::byte{1};
  huge[2] = std::byte{1000 & 0xFF};
  huge[3] = std::byte{1000 >> 8};
  EXPECT_EQ(guest.command(huge), 0);
  EXPECT_TRUE(guest.takes(kOther));
  Bytes many(2 + 4 + 100 * 6 + 4);
  many[0] = std::byte{1};
  many[2] = std::byte{100};
  EXPECT_EQ(guest.command(many), 0);
  EXPECT_TRUE(guest.takes(kOther)) << "100 do not fit either";
  EXPECT_FALSE(guest.takes(kMulticast)) << "that table is empty";
  EXPECT_EQ(guest.command(1, 0, {0, 0, 0, 0, 0, 0, 0, 0}), 0);
  EXPECT_FALSE(guest.takes(kOther));
}

TYPED_TEST(ControlQueue, Input22CommandsWithoutTheirFeatureAreRefused) {
  Card<TypeParam> guest(kFeatureStatus);
  EXPECT_EQ(guest.command(0, 0, {0}), 1);
  EXPECT_EQ(guest.command(0, 2, {0}), 1);
  EXPECT_EQ(guest.command(1, 0, {0, 0, 0, 0, 0, 0, 0, 0}), 1);
  EXPECT_EQ(guest.command(1, 1, {2, 0, 0, 0, 0, 9}), 1);
  EXPECT_EQ(guest.command(2, 0, {5, 0}), 1);
  EXPECT_EQ(guest.command(3, 0, {}), 1);
  EXPECT_EQ(guest.command(4, 0, {1, 0}), 1);
  EXPECT_EQ(guest.command(5, 0, {0, 0, 0, 0, 0, 0, 0, 0}), 1);
}

TYPED_TEST(ControlQueue, Input22ACommandWithoutRoomForTheAnswerIsHandedBack) {
  Card<TypeParam> guest(kFilters);
  auto& ring = *guest.rings[2];
  ring.add({{guest.ram.allocate(64), 3}});
  guest.show(ring);
  guest.card->notify(2);
  const auto used = ring.poll();
  ASSERT_TRUE(used);
  EXPECT_EQ(used->length, 0U);
}

TYPED_TEST(ControlQueue, Input22ABrokenControlRingSetsNeedsReset) {
  Card<TypeParam> guest(kFilters);
  auto& ring = *guest.rings[2];
  ring.add({{1ULL << 40, 3}, {guest.ram.allocate(64), 1, true}});
  guest.show(ring);
  guest.card->notify(2);
  EXPECT_NE(guest.card->status() & virtio::kNeedsReset, 0);
  EXPECT_EQ(guest.config_interrupts, 1U);
}

}  // namespace
}  // namespace patchbay::devices::net
