// virtio-net as a card: what it offers, its link, its sleep, its reset. Frames are in
// virtio_net_frames_test.cpp.
#include "devices/net/virtio_net.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/unit/devices/virtio_net_fixture.h"

namespace patchbay::devices::net {
namespace {

using testing::contents;
using testing::Guest;
using testing::is_readable;
using testing::kPlain;
using testing::make_frame;
using testing::NetDriver;
using vswitch::DropReason;

// --- the card
// ------------------------------------------------------------------------------------------------

TEST_F(VirtioNetTest, OffersWhatItCanDo) {
  Guest guest;
  const FeatureSet always = virtio::kFeatureVersion1 | virtio::kFeatureEventIndex |
                            virtio::kFeatureIndirectDescriptors | virtio::kFeatureInOrder | kFeatureMac |
                            kFeatureMtu | kFeatureStatus | kFeatureMergeableRx | kFeatureSpeedDuplex |
                            kControlFeatures;
  EXPECT_EQ(guest.card.offered_features(),
            always | virtio::kFeaturePackedRing | kOffloadFeatures | kFeatureControlOffloads);
  VirtioNetConfig config = Guest::default_config();
  config.offloads = config.packed = false;
  config.queue_pairs = 4;
  EXPECT_EQ(VirtioNet("r1:eth0", config).offered_features(), always | kFeatureMultiqueue);
}

TEST_F(VirtioNetTest, ConfigurationIsReadableBeforeNegotiation) {
  VirtioNetConfig config;
  config.mac = {0x02, 1, 2, 3, 4, 5};
  config.mtu = 9500;
  Guest guest({}, config);
  std::array<std::byte, 24> bytes;
  guest.card.read_config(0, bytes);
  const std::array<unsigned, 24> expected{2, 1, 2, 3, 4, 5, 1, 0, 1, 0, 9500 & 0xFF, 9500 >> 8, 0x10, 0x27,
                                          0, 0, 1, 0, 0, 0, 0, 0, 0, 0};  // 10,000 Mbit/s, full duplex
  for (std::size_t i = 0; i < bytes.size(); ++i)
    EXPECT_EQ(std::to_integer<unsigned>(bytes[i]), expected[i]) << i;
}

TEST_F(VirtioNetTest, RefusesAConfigurationThatCannotWork) {
  auto with = [](auto change) {
    VirtioNetConfig config = Guest::default_config();
    change(config);
    VirtioNet card("r1:eth0", config);
  };
  EXPECT_THROW(with([](auto& c) { c.mac[0] = 0x01; }), std::runtime_error);
  EXPECT_THROW(with([](auto& c) { c.mtu = 67; }), std::runtime_error);
  EXPECT_THROW(with([](auto& c) { c.queue_size = 100; }), std::runtime_error);
  EXPECT_THROW(with([](auto& c) { c.queue_size = 0; }), std::runtime_error);
  EXPECT_THROW(with([](auto& c) { c.queue_size = 2048; }), std::runtime_error);
  EXPECT_THROW(with([](auto& c) { c.queue_pairs = 0; }), std::runtime_error);
  EXPECT_THROW(with([](auto& c) { c.queue_pairs = 17; }), std::runtime_error);
  EXPECT_NO_THROW(with([](auto& c) { c.mtu = 68; }));
}

// --- link and readiness
// --------------------------------------------------------------------------------------

TEST_F(VirtioNetTest, NotReadyUntilTheDriverIs) {
  Guest guest;
  EXPECT_TRUE(push(guest, make_frame(60)));
  EXPECT_EQ(guest.drops_out(DropReason::not_ready), 1U);
  EXPECT_TRUE(pull(guest).empty());
  ASSERT_TRUE(guest.driver.start());
  guest.driver.post();
  EXPECT_TRUE(push(guest, make_frame(60)));
  EXPECT_EQ(guest.card.counters.out.delivered.value(), 1U);
}

TEST_F(VirtioNetTest, LinkChangeIsSeenByTheDriver) {
  Guest guest({.features = kPlain});
  ASSERT_TRUE(guest.driver.start());
  const auto status = [&] {
    std::array<std::byte, 2> bytes;
    guest.card.read_config(6, bytes);
    return std::to_integer<unsigned>(bytes[0]);
  };
  const std::uint8_t generation = guest.card.config_generation();
  EXPECT_EQ(status(), 1U);
  guest.card.set_link(false);
  EXPECT_EQ(status(), 0U);
  EXPECT_EQ(guest.driver.config_interrupts(), 1U);
  EXPECT_NE(guest.card.config_generation(), generation);
  EXPECT_EQ(guest.card.config_generation(), static_cast<std::uint8_t>(generation + 1))
      << "moves once a change";
  guest.card.set_link(false);
  EXPECT_EQ(guest.driver.config_interrupts(), 1U) << "nothing changed";
  guest.card.set_link(true);
  EXPECT_EQ(status(), 1U);
  EXPECT_EQ(guest.driver.config_interrupts(), 2U);
}

TEST_F(VirtioNetTest, LinkDownDropsBothWays) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  guest.driver.post();
  guest.card.set_link(false);
  guest.driver.send(make_frame(60));
  guest.driver.send(make_frame(60));
  guest.driver.kick();
  EXPECT_TRUE(pull(guest).empty());
  EXPECT_EQ(guest.drops_in(DropReason::link_down), 2U);
  EXPECT_EQ(guest.card.counters.in.frames.value(), 2U);
  EXPECT_EQ(guest.card.counters.in.bytes.value(), 120U);
  EXPECT_EQ(guest.driver.reclaim(), 2U) << "the guest gets its buffers back";
  EXPECT_TRUE(push(guest, make_frame(60)));
  EXPECT_EQ(guest.drops_out(DropReason::link_down), 1U);
  EXPECT_FALSE(guest.driver.receive());
  guest.card.set_link(true);
  EXPECT_TRUE(push(guest, make_frame(60)));
  EXPECT_TRUE(guest.driver.receive());
}

// --- sleeping
// ------------------------------------------------------------------------------------------------

TEST_F(VirtioNetTest, ArmedPortWakesOnAKickAndAPollingOneIsLeftAlone) {
  for (const virtio::FeatureSet extra : {virtio::FeatureSet{0}, virtio::kFeatureEventIndex}) {
    Guest guest({.features = kPlain | extra});
    ASSERT_TRUE(guest.driver.start());
    EXPECT_TRUE(is_readable(guest.card.wake_fd())) << "DRIVER_OK makes the worker look";
    guest.card.disarm();
    EXPECT_FALSE(is_readable(guest.card.wake_fd()));

    guest.driver.send(make_frame(60));
    guest.driver.kick();  // the first kick of a ring with event indices is not avoidable
    pull(guest);
    guest.card.release(1);
    guest.card.disarm();
    guest.driver.send(make_frame(60));
    EXPECT_FALSE(guest.driver.kick()) << "the worker polls";
    EXPECT_FALSE(is_readable(guest.card.wake_fd()));

    EXPECT_TRUE(guest.card.arm()) << "a frame waits";
    guest.card.disarm();
    pull(guest);
    guest.card.release(1);
    EXPECT_FALSE(guest.card.arm());
    guest.driver.send(make_frame(60));
    EXPECT_TRUE(guest.driver.kick());
    EXPECT_TRUE(is_readable(guest.card.wake_fd()));
    guest.card.disarm();
    EXPECT_FALSE(is_readable(guest.card.wake_fd()));
    EXPECT_EQ(pull(guest).size(), 1U);
    guest.card.release(1);
  }
}

TEST_F(VirtioNetTest, PortArmedBeforeTheDriverCameUpWakes) {
  Guest guest;
  EXPECT_FALSE(guest.card.arm());
  ASSERT_TRUE(guest.driver.start());
  EXPECT_TRUE(is_readable(guest.card.wake_fd()));
  guest.card.disarm();
  EXPECT_FALSE(guest.card.arm());
  guest.driver.send(make_frame(60));
  EXPECT_TRUE(guest.driver.kick());
  EXPECT_TRUE(is_readable(guest.card.wake_fd()));
}

TEST_F(VirtioNetTest, NoNotificationIsWantedForReceiveBuffers) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  EXPECT_EQ(guest.driver.rx().used_flags(), virtio::kUsedNoNotify);
}

// --- reset
// ---------------------------------------------------------------------------------------------------

TEST_F(VirtioNetTest, ResetBetweenPullAndReleaseIsHarmless) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  guest.driver.send(make_frame(1000));
  guest.driver.kick();
  ASSERT_EQ(pull(guest).size(), 1U);
  guest.card.write_status(0);
  EXPECT_EQ(contents((*burst)[0]), make_frame(1000)) << "the view stays readable";
  guest.card.release(1);
  EXPECT_EQ(guest.driver.tx().used_index(), 0) << "the rings are the guest's again";
}

TEST_F(VirtioNetTest, ReleaseAfterResetAndRestartTouchesNoNewRing) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  guest.driver.send(make_frame(60));
  guest.driver.kick();
  ASSERT_EQ(pull(guest).size(), 1U);
  guest.card.write_status(0);
  {
    NetDriver second(guest.ram, guest.card, {.ring_size = 8});
    ASSERT_TRUE(second.start());
    guest.card.release(1);
    EXPECT_EQ(second.tx().used_index(), 0);
    EXPECT_EQ(guest.driver.tx().used_index(), 0);
    second.send(make_frame(61));
    second.kick();
    EXPECT_EQ(pull(guest).size(), 1U);
    EXPECT_EQ((*burst)[0].length, 61U);
    guest.card.release(1);
    EXPECT_EQ(second.tx().used_index(), 1);
  }
}

TEST_F(VirtioNetTest, WithoutBusMasteringGuestMemoryIsLeftAlone) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  guest.driver.post();
  guest.driver.send(make_frame(60));
  guest.driver.kick();
  guest.driver.forbid_memory_access(true);
  EXPECT_TRUE(pull(guest).empty());
  EXPECT_TRUE(push(guest, make_frame(60)));
  EXPECT_EQ(guest.drops_out(DropReason::not_ready), 1U);
  EXPECT_EQ(guest.driver.rx().used_index(), 0);
  guest.driver.forbid_memory_access(false);
  EXPECT_EQ(pull(guest).size(), 1U);
  guest.driver.forbid_memory_access(true);
  guest.card.release(1);  // cleared with a burst in flight: its buffers come back all the same
  EXPECT_EQ(guest.driver.reclaim(), 1U);
}

}  // namespace
}  // namespace patchbay::devices::net
