// Virtio over PCI: accesses that no driver makes, and the configuration access window.
#include "tests/unit/devices/pci_transport_fixture.h"

#include <algorithm>
#include <vector>

namespace patchbay::devices::virtio {
namespace {

using testing::DriverRing;
using testing::GuestRam;

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
