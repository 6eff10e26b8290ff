// Virtio over PCI as a driver meets it: capabilities, registers, interrupts, doorbells; and accesses no
// driver makes.
#include "devices/virtio/pci_transport.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <map>
#include <vector>

#include "devices/net/virtio_net.h"
#include "tests/unit/devices/driver_ring.h"
#include "tests/unit/devices/net_fixture.h"

namespace patchbay::devices::virtio {
namespace {

using net::VirtioNet;
using testing::DriverRing;
using testing::GuestRam;
using testing::is_readable;
using testing::make_frame;

/// The machine around the function.
class Machine final : public MsiVectors, public InterruptPin, public Doorbells {
 public:
  void configure(unsigned, std::uint64_t, std::uint32_t) noexcept override {}
  void raise(unsigned vector) noexcept override { ++raised[vector]; }
  void set(bool level) noexcept override { asserted = level; }
  bool attach(std::uint64_t address, int fd) noexcept override {
    if (doorbells_work) doorbells.emplace(address, fd);
    return doorbells_work;
  }
  void detach(std::uint64_t address, int) noexcept override { doorbells.erase(address); }

  std::map<unsigned, unsigned> raised;
  bool asserted = false;
  bool doorbells_work = true;
  std::map<std::uint64_t, int> doorbells;
};

constexpr std::uint64_t kBar0 = 0xE000'0000;
constexpr std::uint64_t kBar2 = 0xE001'0000;

// Offsets in the common configuration (4.1.4.3).
enum Common : std::uint64_t {
  kDeviceFeatureSelect = 0,
  kDeviceFeature = 4,
  kDriverFeatureSelect = 8,
  kDriverFeature = 12,
  kConfigVector = 16,
  kNumQueues = 18,
  kStatus = 20,
  kGeneration = 21,
  kQueueSelect = 22,
  kQueueSize = 24,
  kQueueVector = 26,
  kQueueEnable = 28,
  kQueueNotifyOff = 30,
  kQueueDescriptors = 32,
  kQueueDriver = 40,
  kQueueDevice = 48,
};

class PciTransportTest : public ::testing::Test {
 protected:
  PciTransportTest() {
    function.attach({&ram.memory(), &machine, &machine, &machine});
    config_write<std::uint32_t>(0x10, kBar0);
    config_write<std::uint32_t>(0x14, 0);
    config_write<std::uint32_t>(0x18, kBar2);
    config_write<std::uint16_t>(0x04, 0x6);  // memory space, bus master
  }

  template <typename T>
  T config_read(std::uint32_t offset) {
    T value{};
    function.config_read(offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  template <typename T>
  void config_write(std::uint32_t offset, T value) {
    function.config_write(offset, std::as_bytes(std::span(&value, 1)));
  }
  template <typename T>
  T bar_read(std::uint64_t offset, unsigned bar = 0) {
    T value{};
    function.bar_read(bar, offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  template <typename T>
  void bar_write(std::uint64_t offset, T value, unsigned bar = 0) {
    function.bar_write(bar, offset, std::as_bytes(std::span(&value, 1)));
  }

  struct Capability {
    std::uint32_t at;
    std::uint8_t bar;
    std::uint32_t offset;
    std::uint32_t length;
  };
  /// Finds the vendor capability of a type by walking the list, as a driver does.
  Capability capability(std::uint8_t type) {
    for (std::uint8_t at = config_read<std::uint8_t>(0x34); at != 0;
         at = config_read<std::uint8_t>(at + 1U)) {
      if (config_read<std::uint8_t>(at) == 0x09 && config_read<std::uint8_t>(at + 3U) == type) {
        return {at, config_read<std::uint8_t>(at + 4U), config_read<std::uint32_t>(at + 8U),
                config_read<std::uint32_t>(at + 12U)};
      }
    }
    ADD_FAILURE() << "no capability of type " << int{type};
    return {};
  }
  std::uint8_t msix_capability() {
    std::uint8_t at = config_read<std::uint8_t>(0x34);
    while (at != 0 && config_read<std::uint8_t>(at) != 0x11)
      at = config_read<std::uint8_t>(at + 1U);
    return at;
  }
  void enable_msix() {
    for (unsigned vector = 0; vector < 3; ++vector) {
      bar_write<std::uint32_t>(16 * vector, 0xFEE0'0000, 2);
      bar_write<std::uint32_t>(16 * vector + 8, 0x40 + vector, 2);
      bar_write<std::uint32_t>(16 * vector + 12, 0, 2);
    }
    config_write<std::uint16_t>(msix_capability() + 2U, 0x8000);
  }

  void set_status(std::uint8_t status) { bar_write<std::uint8_t>(kStatus, status); }
  std::uint8_t status() { return bar_read<std::uint8_t>(kStatus); }
  /// Up to FEATURES_OK.
  void negotiate(FeatureSet features = kFeatureVersion1 | net::kFeatureStatus) {
    set_status(0);
    set_status(1);
    set_status(3);
    bar_write<std::uint32_t>(kDriverFeatureSelect, 0);
    bar_write<std::uint32_t>(kDriverFeature, static_cast<std::uint32_t>(features));
    bar_write<std::uint32_t>(kDriverFeatureSelect, 1);
    bar_write<std::uint32_t>(kDriverFeature, static_cast<std::uint32_t>(features >> 32));
    set_status(11);
    ASSERT_EQ(status(), 11);
  }
  void set_up_queue(std::uint16_t index, const DriverRing& ring) {
    const RingSetup setup = ring.setup();
    bar_write<std::uint16_t>(kQueueSelect, index);
    bar_write<std::uint16_t>(kQueueSize, setup.size);
    bar_write<std::uint16_t>(kQueueVector, index);
    bar_write<std::uint32_t>(kQueueDescriptors, static_cast<std::uint32_t>(setup.descriptors));
    bar_write<std::uint32_t>(kQueueDescriptors + 4, static_cast<std::uint32_t>(setup.descriptors >> 32));
    bar_write<std::uint64_t>(kQueueDriver, setup.driver_area);
    bar_write<std::uint64_t>(kQueueDevice, setup.device_area);
    bar_write<std::uint16_t>(kQueueEnable, 1);
    ASSERT_EQ(bar_read<std::uint16_t>(kQueueEnable), 1);
  }
  void start() {
    negotiate();
    set_up_queue(0, rx);
    set_up_queue(1, tx);
    bar_write<std::uint16_t>(kConfigVector, 2);
    set_status(15);
    ASSERT_EQ(status(), 15);
  }
  /// The guest sends a frame; the switch takes it, so the transmit queue interrupts.
  void transmit_one() {
    const std::uint64_t at = ram.allocate(128);
    tx.add({{at, 72}});
    tx.publish();
    auto burst = std::make_unique<vswitch::Burst>();
    card.pull(*burst);
    ASSERT_EQ(burst->size(), 1U);
    card.release(1);
  }

  GuestRam ram;
  Machine machine;
  VirtioNet card{"r1:eth0", testing::Guest::default_config()};
  PciTransport function{card, VirtioNet::kPciClass};
  DriverRing rx{ram, 16};
  DriverRing tx{ram, 16};
};

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

// --- accesses no driver makes
// ----------------------------------------------------------------------------------

TEST_F(PciTransportTest, Input15QueueSelectOutOfRangeReachesNothing) {
  negotiate();
  for (const std::uint16_t queue : std::initializer_list<std::uint16_t>{3, 4, 255, 0xFFFF}) {
    bar_write<std::uint16_t>(kQueueSelect, queue);
    EXPECT_EQ(bar_read<std::uint16_t>(kQueueSize), 0) << "0 says: no such queue";
    EXPECT_EQ(bar_read<std::uint16_t>(kQueueVector), 0xFFFF);
    bar_write<std::uint16_t>(kQueueVector, 1);
    EXPECT_EQ(bar_read<std::uint16_t>(kQueueVector), 0xFFFF);
    bar_write<std::uint16_t>(kQueueSize, 16);
    bar_write<std::uint64_t>(kQueueDescriptors, GuestRam::kBase);
    bar_write<std::uint16_t>(kQueueEnable, 1);
    EXPECT_EQ(bar_read<std::uint16_t>(kQueueEnable), 0);
    EXPECT_EQ(bar_read<std::uint16_t>(kQueueNotifyOff), 0);
  }
  EXPECT_EQ(status(), 11);
}

TEST_F(PciTransportTest, Input14QueueRegistersRewrittenAfterDriverOkAreIgnored) {
  start();
  bar_write<std::uint16_t>(kQueueSelect, 1);
  bar_write<std::uint16_t>(kQueueSize, 4);
  bar_write<std::uint64_t>(kQueueDescriptors, 0);
  bar_write<std::uint64_t>(kQueueDriver, ~0ULL);
  bar_write<std::uint16_t>(kQueueEnable, 0);
  EXPECT_EQ(bar_read<std::uint16_t>(kQueueSize), 16);
  EXPECT_EQ(bar_read<std::uint64_t>(kQueueDescriptors), tx.setup().descriptors);
  EXPECT_EQ(bar_read<std::uint16_t>(kQueueEnable), 1);
  transmit_one();
}

TEST_F(PciTransportTest, Input24EveryOffsetAndWidthIsSurvived) {
  start();
  std::array<std::byte, 8> data;
  for (unsigned bar = 0; bar < 6; ++bar) {
    for (std::uint64_t offset = 0; offset < 0x4010; offset += bar == 0 && offset < 0x80 ? 1 : 61) {
      for (const std::size_t width : {1U, 2U, 4U, 8U}) {
        data.fill(std::byte{0xA5});
        function.bar_read(bar, offset, std::span(data).first(width));
        data.fill(std::byte{0xFF});
        function.bar_write(bar, offset, std::span<const std::byte>(data).first(width));
      }
    }
  }
  function.bar_read(0, ~0ULL, data);
  function.bar_write(0, ~0ULL - 3, data);
  // Still a working card after a reset.
  set_status(0);
  tx = DriverRing(ram, 16);
  rx = DriverRing(ram, 16);
  start();
  transmit_one();
}

TEST_F(PciTransportTest, Input24EveryConfigurationOffsetAndWidthIsSurvived) {
  std::array<std::byte, 4> data;
  for (std::uint32_t offset = 0; offset < 4100; ++offset) {
    for (const std::size_t width : {1U, 2U, 4U}) {
      data.fill(std::byte{static_cast<unsigned char>(offset * 37)});
      function.config_read(offset, std::span(data).first(width));
      function.config_write(offset, std::span<const std::byte>(data).first(width));
    }
  }
  EXPECT_EQ(config_read<std::uint16_t>(0), 0x1AF4);
}

TEST_F(PciTransportTest, Input24MsixTableAndPendingBitsTakeOddAccesses) {
  enable_msix();
  std::array<std::byte, 8> data{};
  for (std::uint64_t offset = 0; offset < 0x2000; offset += 3) {
    for (const std::size_t width : {1U, 2U, 4U, 8U}) {
      function.bar_read(2, offset, std::span(data).first(width));
      function.bar_write(2, offset, std::span<const std::byte>(data).first(width));
    }
  }
  EXPECT_EQ(status(), 0);
}

// --- the configuration access window
// -----------------------------------------------------------------------------

TEST_F(PciTransportTest, WindowReachesTheRegisters) {
  const std::uint32_t window = capability(5).at;
  const auto select = [&](std::uint8_t bar, std::uint32_t offset, std::uint32_t length) {
    config_write<std::uint8_t>(window + 4, bar);
    config_write<std::uint32_t>(window + 8, offset);
    config_write<std::uint32_t>(window + 12, length);
  };
  select(0, kStatus, 1);
  config_write<std::uint32_t>(window + 16, 0xFFFF'FF01);
  EXPECT_EQ(status(), 1);
  EXPECT_EQ(config_read<std::uint8_t>(window + 16), 1);
  select(0, 0x2000, 4);
  EXPECT_EQ(config_read<std::uint32_t>(window + 16), 2U) << "the first bytes of the MAC address";
  EXPECT_EQ(config_read<std::uint16_t>(window + 16), 2);
}

TEST_F(PciTransportTest, Input24WindowIgnoresWhatItCannotDo) {
  const std::uint32_t window = capability(5).at;
  set_status(1);
  struct Access {
    std::uint8_t bar;
    std::uint32_t offset;
    std::uint32_t length;
  };
  for (const Access& bad :
       {Access{0, kStatus, 0}, Access{0, kStatus, 3}, Access{0, kStatus, 8}, Access{0, kStatus, 0xFFFF'FFFF},
        Access{1, kStatus, 1}, Access{2, kStatus, 1}, Access{5, kStatus, 1}, Access{255, kStatus, 1},
        Access{0, 0x4000, 4}, Access{0, 0xFFFF'FFFC, 4}, Access{0, kStatus + 1, 2}}) {
    config_write<std::uint8_t>(window + 4, bad.bar);
    config_write<std::uint32_t>(window + 8, bad.offset);
    config_write<std::uint32_t>(window + 12, bad.length);
    config_write<std::uint32_t>(window + 16, 0);
    static_cast<void>(config_read<std::uint32_t>(window + 16));
    EXPECT_EQ(status(), 1) << "a reset would have come of it";
  }
}

}  // namespace
}  // namespace patchbay::devices::virtio
