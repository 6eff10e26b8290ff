// Drivers that lie to virtio-net in what they set up: the device asks for a reset; nothing else happens, and
// other guests do not notice. What they send is in hostile_frames_test.cpp.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "tests/unit/devices/hostile_net_fixture.h"

namespace patchbay::devices::net {
namespace {

using testing::forward;
using testing::Guest;
using testing::GuestRam;
using testing::kPlain;
using testing::make_frame;
using testing::NetDriver;
using virtio::RingSetup;
using vswitch::DropReason;

// --- queue set-up
// --------------------------------------------------------------------------------------------

TEST_F(HostileNet, Input14QueueRewrittenAfterDriverOkIsIgnored) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  const auto before = guest.card.queue(VirtioNet::kTransmitQueue);
  guest.card.configure_queue(VirtioNet::kTransmitQueue, [](RingSetup& setup) { setup = {4, 0, 0, 0}; });
  guest.card.enable_queue(VirtioNet::kTransmitQueue);
  const auto after = guest.card.queue(VirtioNet::kTransmitQueue);
  EXPECT_EQ(after.setup.size, before.setup.size);
  EXPECT_EQ(after.setup.descriptors, before.setup.descriptors);
  guest.driver.send(make_frame(60));
  guest.driver.kick();
  EXPECT_EQ(pull(guest), 1U);
  guest.card.release(1);
}

TEST_F(HostileNet, Input14QueueRewrittenAfterItWasEnabledIsIgnored) {
  Guest guest;
  guest.card.write_status(1);
  guest.card.write_status(3);
  guest.card.write_driver_features(1, 1);
  guest.card.write_status(11);
  guest.card.configure_queue(0, [&](RingSetup& setup) { setup = guest.driver.rx().setup(); });
  guest.card.enable_queue(0);
  EXPECT_TRUE(guest.card.queue(0).enabled);
  guest.card.configure_queue(0, [](RingSetup& setup) { setup.size = 3; });
  EXPECT_EQ(guest.card.queue(0).setup.size, 256);
}

TEST_F(HostileNet, QueueSetUpBeforeFeaturesAreAgreedIsIgnored) {
  Guest guest;
  guest.card.write_status(1);
  guest.card.write_status(3);
  guest.card.configure_queue(0, [](RingSetup& setup) { setup.size = 16; });
  guest.card.enable_queue(0);
  EXPECT_EQ(guest.card.queue(0).setup.size, 256);
  EXPECT_FALSE(guest.card.queue(0).enabled);
}

TEST_F(HostileNet, Input16QueueThatCannotWorkSetsNeedsReset) {
  const RingSetup setups[] = {
      {0, GuestRam::kBase, GuestRam::kBase, GuestRam::kBase},
      {100, GuestRam::kBase, GuestRam::kBase, GuestRam::kBase},
      {512, GuestRam::kBase, GuestRam::kBase, GuestRam::kBase},  // more than offered
      {256, GuestRam::kBase + 1, GuestRam::kBase, GuestRam::kBase},
      {256, 0, GuestRam::kBase, GuestRam::kBase},
      {256, ~0ULL - 15, GuestRam::kBase, GuestRam::kBase},
  };
  for (const RingSetup& setup : setups) {
    Guest guest;
    guest.card.write_status(1);
    guest.card.write_status(3);
    guest.card.write_driver_features(1, 1);
    guest.card.write_status(11);
    guest.card.configure_queue(0, [&](RingSetup& registers) { registers = setup; });
    guest.card.enable_queue(0);
    EXPECT_FALSE(guest.card.queue(0).enabled);
    EXPECT_EQ(guest.card.status(), 11 | virtio::kNeedsReset);
    EXPECT_EQ(guest.driver.config_interrupts(), 0U) << "only after DRIVER_OK (2.1.2)";
    guest.card.write_status(15);
    EXPECT_EQ(push(guest, 60), 1U) << "stays stopped";
    EXPECT_EQ(guest.drops_out(DropReason::not_ready), 1U);
    guest.card.write_status(0);
    EXPECT_EQ(guest.card.status(), 0);
  }
}

TEST_F(HostileNet, DriverOkWithoutQueuesIsHarmless) {
  Guest guest;
  guest.card.write_status(1);
  guest.card.write_status(3);
  guest.card.write_driver_features(1, 1);
  guest.card.write_status(11);
  guest.card.write_status(15);
  EXPECT_EQ(guest.card.status(), kUp);
  EXPECT_EQ(pull(guest), 0U);
  EXPECT_FALSE(guest.card.arm());
  guest.card.disarm();
  EXPECT_EQ(push(guest, 60), 1U);
  EXPECT_EQ(guest.drops_out(DropReason::not_ready), 1U);
}

TEST_F(HostileNet, Input15QueuesThatDoNotExistAreNobodys) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  for (const unsigned queue : {3U, 4U, 1000U, 0xFFFFU, 0xFFFF'FFFFU}) {
    EXPECT_EQ(guest.card.queue(queue).setup.size, 0);
    guest.card.configure_queue(queue, [](RingSetup& setup) { setup.size = 8; });
    guest.card.enable_queue(queue);
    guest.card.disarm();
    guest.card.notify(queue);
    EXPECT_FALSE(testing::is_readable(guest.card.wake_fd()));
  }
  EXPECT_EQ(guest.card.status(), kUp);
}

// --- negotiation
// ---------------------------------------------------------------------------------------------

TEST_F(HostileNet, Input23FeaturesNotOfferedAreRefused) {
  for (unsigned bit = 0; bit < 64; ++bit) {
    const FeatureSet feature = 1ULL << bit;
    Guest guest({.features = virtio::kFeatureVersion1 | feature});
    const bool offered = (guest.card.offered_features() & feature) != 0;
    EXPECT_EQ(guest.driver.start(), offered && dependencies_met(feature)) << bit;
  }
}

TEST_F(HostileNet, DriversOfTheLegacyInterfaceAreRefused) {
  Guest guest({.features = kFeatureMac});
  EXPECT_FALSE(guest.driver.start());
}

TEST_F(HostileNet, FeaturesWithoutThoseTheyDependOnAreRefused) {
  VirtioNetConfig config = Guest::default_config();
  config.offloads = true;
  for (const FeatureSet feature :
       {kFeatureGuestTso4, kFeatureGuestTso6, kFeatureGuestEcn, kFeatureHostTso4, kFeatureHostTso6,
        kFeatureHostEcn, kFeatureHostEcn | kFeatureChecksum, kFeatureGuestEcn | kFeatureGuestChecksum,
        kFeatureGuestUso4, kFeatureHostUso, kFeatureControlRx, kFeatureControlVlan, kFeatureAnnounce,
        kFeatureControlMac, kFeatureControlOffloads}) {
    Guest guest({.features = virtio::kFeatureVersion1 | feature}, config);
    EXPECT_FALSE(guest.driver.start()) << std::hex << feature;
  }
}

TEST_F(HostileNet, Input23SkippingFeaturesOkOrClearingBitsChangesNothing) {
  Guest guest;
  guest.card.write_status(1);
  guest.card.write_status(3);
  guest.card.write_status(7);  // DRIVER_OK without FEATURES_OK
  EXPECT_EQ(guest.card.status(), 3);
  guest.card.write_status(15);
  EXPECT_EQ(guest.card.status(), 3);
  guest.card.write_status(2);  // clears ACKNOWLEDGE
  EXPECT_EQ(guest.card.status(), 3);
  guest.card.write_driver_features(1, 1);
  guest.card.write_status(11);
  EXPECT_EQ(guest.card.status(), 11);
  guest.card.write_driver_features(0, 0xFFFF'FFFF);
  EXPECT_EQ(guest.card.driver_features(), virtio::kFeatureVersion1) << "final after FEATURES_OK";
  guest.card.write_status(3);
  EXPECT_EQ(guest.card.status(), 11);
  guest.card.write_status(0x30 | 15);  // bits that mean nothing
  EXPECT_EQ(guest.card.status(), 11);
}

TEST_F(HostileNet, NeedsResetIsNotTheDriversToSetOrClear) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  guest.card.write_status(kUp | virtio::kNeedsReset);
  EXPECT_EQ(guest.card.status(), kUp);
  guest.driver.tx().offer(0xFFFF);
  pull(guest);
  EXPECT_EQ(guest.card.status(), kUp | virtio::kNeedsReset);
  guest.card.write_status(kUp);
  EXPECT_EQ(guest.card.status(), kUp | virtio::kNeedsReset);
}

// --- rings that break
// ------------------------------------------------------------------------------------------

TEST_F(HostileNet, BrokenTransmitRingSetsNeedsReset) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  guest.driver.tx().offer(0xFFFF);
  EXPECT_EQ(pull(guest), 0U);
  expect_needs_reset(guest, "a head index is not below the queue size");
}

TEST_F(HostileNet, FramesInFrontOfTheBreakAreStillSeen) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  guest.driver.send(make_frame(60));
  guest.driver.kick();
  guest.driver.tx().offer(0xFFFF);
  EXPECT_EQ(pull(guest), 1U);
  guest.card.release(1);
  EXPECT_EQ(guest.driver.tx().used_index(), 0) << "a broken ring is not touched again";
  expect_needs_reset(guest, "a head index is not below the queue size");
}

TEST_F(HostileNet, BrokenReceiveRingSetsNeedsReset) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  guest.driver.rx().set_avail_index(1000);
  EXPECT_EQ(push(guest, 60), 1U);
  EXPECT_EQ(guest.drops_out(DropReason::not_ready), 1U);
  EXPECT_EQ(guest.card.status(), kUp | virtio::kNeedsReset);
  EXPECT_EQ(guest.card.error(), "the available index jumped by more than the queue size");
  EXPECT_EQ(guest.driver.config_interrupts(), 1U);
}

TEST_F(HostileNet, Input17IndexJumpSeenWhileFallingAsleepSetsNeedsReset) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  guest.driver.tx().set_avail_index(1000);
  EXPECT_FALSE(guest.card.arm());
  EXPECT_EQ(guest.card.status(), kUp | virtio::kNeedsReset);
}

TEST_F(HostileNet, OtherGuestsGoOn) {
  Guest bad;
  Guest a;
  Guest b;
  ASSERT_TRUE(bad.driver.start());
  ASSERT_TRUE(a.driver.start());
  ASSERT_TRUE(b.driver.start());
  b.driver.post();
  bad.driver.tx().offer(0xFFFF);
  EXPECT_EQ(pull(bad), 0U);
  a.driver.send(make_frame(100));
  a.driver.kick();
  EXPECT_EQ(forward(a.card, b.card, *burst), 1U);
  EXPECT_EQ(b.driver.receive()->frame, make_frame(100));
}

// --- receive buffers
// -------------------------------------------------------------------------------------------

TEST_F(HostileNet, ReceiveBufferSmallerThanTheHeaderSetsNeedsReset) {
  for (const FeatureSet features : {kPlain, kPlain | kFeatureMergeableRx}) {
    for (const std::uint32_t bytes : {0U, 1U, 11U}) {
      Guest guest({.features = features});
      ASSERT_TRUE(guest.driver.start());
      guest.driver.rx().add({{guest.ram.allocate(64), bytes, true}});
      guest.driver.rx().publish();
      EXPECT_EQ(push(guest, 60), 1U);
      EXPECT_EQ(guest.card.status(), kUp | virtio::kNeedsReset);
      EXPECT_EQ(guest.card.error(), "a receive buffer is too small for the header");
      EXPECT_EQ(guest.driver.rx().used_index(), 0);
    }
  }
}

TEST_F(HostileNet, ReceiveChainWithReadableElementsSetsNeedsReset) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  const std::uint64_t at = guest.ram.allocate(4096);
  guest.driver.rx().add({{at, 100}, {at + 100, 2000, true}});
  guest.driver.rx().publish();
  EXPECT_EQ(push(guest, 60), 1U);
  EXPECT_EQ(guest.card.status(), kUp | virtio::kNeedsReset);
}

TEST_F(HostileNet, ResetClearsTheErrorOfAUselessBuffer) {
  Guest guest;
  ASSERT_TRUE(guest.driver.start());
  guest.driver.rx().add({{guest.ram.allocate(64), 4, true}});
  guest.driver.rx().publish();
  EXPECT_EQ(push(guest, 60), 1U);
  guest.card.write_status(0);
  NetDriver second(guest.ram, guest.card, {.ring_size = 16});
  ASSERT_TRUE(second.start());
  second.post();
  EXPECT_EQ(push(guest, 60), 1U);
  EXPECT_TRUE(second.receive());
}

TEST_F(HostileNet, Input21MergeableTinyBuffersAreFilledOneByOne) {
  Guest guest({.features = kPlain | kFeatureMergeableRx, .buffer_bytes = 64});
  ASSERT_TRUE(guest.driver.start());
  guest.driver.post();
  EXPECT_EQ(push(guest, 1514), 1U);
  EXPECT_EQ(guest.driver.rx().used_index(), (1514 + 12 + 63) / 64);
  EXPECT_EQ(guest.driver.receive()->frame.size(), 1514U);
}

TEST_F(HostileNet, Input21RingDryInMidFramePublishesNothing) {
  Guest guest({.features = kPlain | kFeatureMergeableRx, .buffer_bytes = 64});
  ASSERT_TRUE(guest.driver.start());
  guest.driver.post(10);
  EXPECT_EQ(push(guest, 1514), 0U) << "no room yet";
  EXPECT_EQ(guest.driver.rx().used_index(), 0);
  EXPECT_EQ(guest.card.copied().into_guest, 0U) << "and nothing was written";
  guest.driver.post(14);
  EXPECT_EQ(push(guest, 1514), 1U);
  EXPECT_EQ(guest.driver.receive()->frame.size(), 1514U);
}

TEST_F(HostileNet, FrameThatNeedsMoreBuffersThanTheRingHasIsDropped) {
  Guest guest({.features = kPlain | kFeatureMergeableRx, .ring_size = 16, .buffer_bytes = 64});
  ASSERT_TRUE(guest.driver.start());
  guest.driver.post();
  EXPECT_EQ(push(guest, 1514), 1U) << "waiting would block the sender for ever";
  EXPECT_EQ(guest.drops_out(DropReason::too_long), 1U);
  EXPECT_EQ(push(guest, 60), 1U);
  EXPECT_TRUE(guest.driver.receive());
}

TEST_F(HostileNet, FrameLargerThanAPlainBufferIsDroppedAndTheBufferStays) {
  Guest guest({.buffer_bytes = 256});
  ASSERT_TRUE(guest.driver.start());
  guest.driver.post(1);
  EXPECT_EQ(push(guest, 245), 1U);
  EXPECT_EQ(guest.drops_out(DropReason::too_long), 1U);
  EXPECT_EQ(push(guest, 244), 1U) << "12 + 244 fill it exactly";
  EXPECT_EQ(guest.card.counters.out.delivered.value(), 1U);
  EXPECT_TRUE(guest.driver.receive());
}

// --- several threads
// ---------------------------------------------------------------------------------------------

TEST_F(HostileNet, Input23ResetUnderLoadFromOtherThreads) {
  // The worker forwards between two cards while a vCPU thread of each starts, uses and resets its card.
  constexpr unsigned kRounds = 40;
  VirtioNet a("r1:eth0", Guest::default_config());
  VirtioNet b("r2:eth0", Guest::default_config());
  std::atomic<unsigned> running{2};
  // Memory stays mapped for as long as the worker may look at frames in it.
  std::vector<std::unique_ptr<GuestRam>> memories_a;
  std::vector<std::unique_ptr<GuestRam>> memories_b;
  const auto guest = [&running](VirtioNet& card, std::vector<std::unique_ptr<GuestRam>>& memories) {
    for (unsigned round = 0; round < kRounds; ++round) {
      GuestRam& ram = *memories.emplace_back(std::make_unique<GuestRam>(1 << 16));
      NetDriver driver(ram, card, {.ring_size = 8, .buffer_bytes = 1024});
      ASSERT_TRUE(driver.start());
      for (unsigned i = 0; i < 50; ++i) {
        driver.post();
        driver.send(make_frame(500));
        driver.kick();
        while (driver.receive()) {
        }
        driver.reclaim();
      }
      card.write_status(0);
    }
    --running;
  };
  std::thread vcpu_a(guest, std::ref(a), std::ref(memories_a));
  std::thread vcpu_b(guest, std::ref(b), std::ref(memories_b));
  while (running != 0) {
    forward(a, b, *burst);
    forward(b, a, *burst);
    if (!a.arm()) std::this_thread::yield();
    a.disarm();
  }
  vcpu_a.join();
  vcpu_b.join();

  EXPECT_EQ(a.status(), 0);
  GuestRam ram;
  NetDriver last(ram, a, {.ring_size = 8});
  ASSERT_TRUE(last.start());
  last.send(make_frame(60));
  last.kick();
  burst->clear();
  a.pull(*burst);
  EXPECT_EQ(burst->size(), 1U);
  a.release(1);
}

}  // namespace
}  // namespace patchbay::devices::net
