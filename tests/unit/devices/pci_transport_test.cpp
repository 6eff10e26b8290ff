// Virtio over PCI as a driver meets it: capabilities, registers, interrupts, doorbells.
#include "tests/unit/devices/pci_transport_fixture.h"

namespace patchbay::devices::virtio {
namespace {

using testing::is_readable;

TEST_F(PciTransportTest, IdentifiesAModernNetworkCard) {
  EXPECT_EQ(config_read<std::uint32_t>(0), 0x1041'1AF4U);
  EXPECT_EQ(config_read<std::uint32_t>(8), 0x0200'0001U);
  EXPECT_GE(config_read<std::uint16_t>(0x2E), 0x40);
}

TEST_F(PciTransportTest, CapabilitiesTellWhereTheStructuresAre) {
  const Capability common = capability(1);
  EXPECT_EQ(common.bar, 0);
  EXPECT_EQ(common.offset, 0x0000U);
  EXPECT_GE(common.length, 56U);
  const Capability notify = capability(2);
  EXPECT_EQ(notify.offset, 0x3000U);
  EXPECT_EQ(notify.length, 12U);
  EXPECT_EQ(config_read<std::uint32_t>(notify.at + 16), 4U) << "notify_off_multiplier";
  EXPECT_EQ(capability(3).offset, 0x1000U);
  EXPECT_EQ(capability(4).offset, 0x2000U);
  EXPECT_EQ(config_read<std::uint8_t>(capability(5).at + 2), 20) << "cap_len with pci_cfg_data";
  EXPECT_EQ(function.bar_size(0), 0x4000U);
  EXPECT_TRUE(function.bar_is_64bit(0));
  EXPECT_EQ(config_read<std::uint16_t>(msix_capability() + 2U) & 0x7FF, 3) << "four vectors";
}

TEST_F(PciTransportTest, FeaturesAreReadInHalves) {
  const FeatureSet offered = card.offered_features();
  bar_write<std::uint32_t>(kDeviceFeatureSelect, 0);
  EXPECT_EQ(bar_read<std::uint32_t>(kDeviceFeature), static_cast<std::uint32_t>(offered));
  bar_write<std::uint32_t>(kDeviceFeatureSelect, 1);
  EXPECT_EQ(bar_read<std::uint32_t>(kDeviceFeature), static_cast<std::uint32_t>(offered >> 32));
  for (const std::uint32_t half : {2U, 3U, 32U, 0xFFFF'FFFFU}) {
    bar_write<std::uint32_t>(kDeviceFeatureSelect, half);
    EXPECT_EQ(bar_read<std::uint32_t>(kDeviceFeature), 0U);
    bar_write<std::uint32_t>(kDriverFeatureSelect, half);
    bar_write<std::uint32_t>(kDriverFeature, 0xFFFF'FFFF);
    EXPECT_EQ(bar_read<std::uint32_t>(kDriverFeature), 0U);
  }
  EXPECT_EQ(card.driver_features(), 0U);
}

TEST_F(PciTransportTest, DriverBringsTheCardUpAndFramesFlow) {
  start();
  transmit_one();
  EXPECT_TRUE(tx.poll());
}

TEST_F(PciTransportTest, RegistersReadBackAndTakeAnyWidth) {
  negotiate();
  bar_write<std::uint16_t>(kQueueSelect, 1);
  EXPECT_EQ(bar_read<std::uint16_t>(kNumQueues), 3);
  EXPECT_EQ(bar_read<std::uint16_t>(kQueueSize), 256);
  EXPECT_EQ(bar_read<std::uint16_t>(kQueueNotifyOff), 1);
  bar_write<std::uint64_t>(kQueueDescriptors, 0x1122'3344'5566'7788);
  EXPECT_EQ(bar_read<std::uint32_t>(kQueueDescriptors), 0x5566'7788U);
  EXPECT_EQ(bar_read<std::uint32_t>(kQueueDescriptors + 4), 0x1122'3344U);
  bar_write<std::uint8_t>(kQueueDescriptors + 2, 0xAB);
  EXPECT_EQ(bar_read<std::uint64_t>(kQueueDescriptors), 0x1122'3344'55AB'7788U);
  // One access over four registers: num_queues, status, generation, queue_select.
  EXPECT_EQ(bar_read<std::uint64_t>(kConfigVector), 0x0001'000B'0003'FFFFU);
  // Misaligned, and over the border of two registers.
  EXPECT_EQ(bar_read<std::uint16_t>(kNumQueues + 1), 0x0B00);
}

TEST_F(PciTransportTest, DeviceConfigurationIsReadable) {
  EXPECT_EQ(bar_read<std::uint32_t>(0x2000), 0x0000'0002U);
  EXPECT_EQ(bar_read<std::uint16_t>(0x2004), 0x0100);
  EXPECT_EQ(bar_read<std::uint16_t>(0x2006), 1) << "link up";
  EXPECT_EQ(bar_read<std::uint64_t>(0x2FFF), 0U);
  bar_write<std::uint32_t>(0x2000, 0xFFFF'FFFF);
  EXPECT_EQ(bar_read<std::uint32_t>(0x2000), 0x0000'0002U);
}

TEST_F(PciTransportTest, GenerationMovesWithTheConfiguration) {
  const auto before = bar_read<std::uint8_t>(kGeneration);
  EXPECT_EQ(bar_read<std::uint8_t>(kGeneration), before);
  card.set_link(false);
  EXPECT_EQ(bar_read<std::uint8_t>(kGeneration), before) << "nobody negotiated the status";
  start();
  card.set_link(true);
  EXPECT_EQ(bar_read<std::uint8_t>(kGeneration), static_cast<std::uint8_t>(before + 1));
  EXPECT_EQ(bar_read<std::uint8_t>(kGeneration), static_cast<std::uint8_t>(before + 1));
}

TEST_F(PciTransportTest, InterruptsGoToTheVectorOfTheirQueue) {
  start();
  enable_msix();
  transmit_one();
  EXPECT_EQ(machine.raised, (std::map<unsigned, unsigned>{{1, 1}}));
  card.set_link(false);
  EXPECT_EQ(machine.raised[2], 1U);
  EXPECT_FALSE(machine.asserted);
  EXPECT_EQ(bar_read<std::uint8_t>(0x1000), 0) << "ISR is for INTx";
}

TEST_F(PciTransportTest, QueueWithoutAVectorIsSilent) {
  start();
  enable_msix();
  bar_write<std::uint16_t>(kQueueSelect, 1);
  bar_write<std::uint16_t>(kQueueVector, kNoVector);
  transmit_one();
  EXPECT_TRUE(machine.raised.empty());
  EXPECT_FALSE(machine.asserted);
}

TEST_F(PciTransportTest, WithoutMsixThePinFollowsIsr) {
  start();
  transmit_one();
  EXPECT_TRUE(machine.asserted);
  EXPECT_TRUE(machine.raised.empty());
  EXPECT_EQ(bar_read<std::uint8_t>(0x1000), 1) << "queue";
  EXPECT_FALSE(machine.asserted) << "reading ISR deasserts";
  EXPECT_EQ(bar_read<std::uint8_t>(0x1000), 0) << "and clears it";
  card.set_link(false);
  EXPECT_TRUE(machine.asserted);
  EXPECT_EQ(bar_read<std::uint32_t>(0x1000), 2U) << "configuration, at any width";
}

TEST_F(PciTransportTest, Input15VectorThatDoesNotExistReadsBackAsNone) {
  bar_write<std::uint16_t>(kConfigVector, 3);
  EXPECT_EQ(bar_read<std::uint16_t>(kConfigVector), 3);
  bar_write<std::uint16_t>(kConfigVector, 4);
  EXPECT_EQ(bar_read<std::uint16_t>(kConfigVector), 0xFFFF);
  bar_write<std::uint16_t>(kQueueVector, 1);
  EXPECT_EQ(bar_read<std::uint16_t>(kQueueVector), 1);
  bar_write<std::uint16_t>(kQueueVector, 0x8000);
  EXPECT_EQ(bar_read<std::uint16_t>(kQueueVector), 0xFFFF);
}

TEST_F(PciTransportTest, NeedsResetComesWithAConfigurationInterrupt) {
  start();
  enable_msix();
  tx.offer(0xFFFF);
  auto burst = std::make_unique<vswitch::Burst>();
  card.pull(*burst);
  EXPECT_EQ(status(), 15 | kNeedsReset);
  EXPECT_EQ(machine.raised[2], 1U);
}

TEST_F(PciTransportTest, WritingZeroResetsEverything) {
  start();
  transmit_one();
  EXPECT_TRUE(machine.asserted);
  set_status(0);
  EXPECT_EQ(status(), 0);
  EXPECT_FALSE(machine.asserted);
  EXPECT_EQ(bar_read<std::uint8_t>(0x1000), 0);
  EXPECT_EQ(bar_read<std::uint16_t>(kConfigVector), 0xFFFF);
  for (const std::uint16_t queue : std::initializer_list<std::uint16_t>{0, 1}) {
    bar_write<std::uint16_t>(kQueueSelect, queue);
    EXPECT_EQ(bar_read<std::uint16_t>(kQueueVector), 0xFFFF);
    EXPECT_EQ(bar_read<std::uint16_t>(kQueueEnable), 0);
    EXPECT_EQ(bar_read<std::uint16_t>(kQueueSize), 256);
    EXPECT_EQ(bar_read<std::uint64_t>(kQueueDescriptors), 0U);
  }
  EXPECT_EQ(card.driver_features(), 0U);
}

TEST_F(PciTransportTest, PowerOnResetOfTheFunctionResetsTheDevice) {
  start();
  function.reset();
  EXPECT_EQ(card.status(), 0);
  EXPECT_TRUE(machine.doorbells.empty());
}

// --- notifications
// -------------------------------------------------------------------------------------------

TEST_F(PciTransportTest, DoorbellsFollowTheBar) {
  using Bells = std::map<std::uint64_t, int>;
  const int fd = card.wake_fd();
  EXPECT_EQ(machine.doorbells, (Bells{{kBar0 + 0x3000, fd}, {kBar0 + 0x3004, fd}}));
  config_write<std::uint32_t>(0x10, 0xD000'0000);
  EXPECT_EQ(machine.doorbells, (Bells{{0xD000'3000, fd}, {0xD000'3004, fd}}));
  config_write<std::uint16_t>(0x04, 0);
  EXPECT_TRUE(machine.doorbells.empty());
}

TEST_F(PciTransportTest, Input24BarMovedOutOfRangeAndBack) {
  start();
  config_write<std::uint32_t>(0x10, 0xFFFF'FFFF);  // sizing
  config_write<std::uint32_t>(0x14, 0xFFFF'FFFF);
  EXPECT_EQ(function.bar_address(0), 0U);
  EXPECT_TRUE(machine.doorbells.empty());
  config_write<std::uint32_t>(0x10, kBar0);
  config_write<std::uint32_t>(0x14, 0);
  EXPECT_EQ(machine.doorbells.size(), 2U);
  EXPECT_EQ(status(), 15);
  transmit_one();
}

TEST_F(PciTransportTest, NotificationsThatArriveAsWritesRingToo) {
  start();
  card.disarm();
  for (const std::uint64_t offset : {0x3000U, 0x3004U, 0x3006U}) {
    bar_write<std::uint16_t>(offset, 1);
    EXPECT_TRUE(is_readable(card.wake_fd())) << offset;
    card.disarm();
  }
}

TEST_F(PciTransportTest, Input15NotificationOfAQueueThatDoesNotExistIsIgnored) {
  start();
  card.disarm();
  for (const std::uint64_t offset : {0x300CU, 0x3100U, 0x3FFCU, 0x3FFFU}) {
    bar_write<std::uint32_t>(offset, 1);
    EXPECT_FALSE(is_readable(card.wake_fd())) << offset;
  }
  EXPECT_EQ(status(), 15);
}

}  // namespace
}  // namespace patchbay::devices::virtio
