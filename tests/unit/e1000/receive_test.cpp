#include "tests/unit/e1000/card.h"

namespace patchbay::devices::net::e1000 {
namespace {

using vswitch::DropReason;
using vswitch::Offload;

class ReceiveTest : public CardTest {
 protected:
  std::vector<std::byte> received(std::uint32_t first, std::uint32_t descriptors, std::size_t bytes) const {
    std::vector<std::byte> out;
    for (std::uint32_t i = 0; i < descriptors; ++i) {
      const auto* data = ram_.data() + kRxData + (first + i) * std::uint64_t{kRxBuffer};
      out.insert(out.end(), data, data + std::min<std::size_t>(kRxBuffer, bytes - out.size()));
    }
    return out;
  }
};

TEST_F(ReceiveTest, WritesTheFrameAndReportsFourBytesOfFcs) {
  start();
  write(reg::kIms, cause::kRxTimer);
  const auto data = frame(500);
  ASSERT_TRUE(deliver(data));
  EXPECT_EQ(rx(0).length, 504);
  EXPECT_EQ(rx(0).status & (rx_status::kDone | rx_status::kEndOfPacket),
            rx_status::kDone | rx_status::kEndOfPacket);
  EXPECT_EQ(rx(0).errors, 0);
  EXPECT_EQ(received(0, 1, 500), data);
  EXPECT_EQ(read(reg::kRdh), 1u);
  EXPECT_TRUE(pin_.level);
  EXPECT_EQ(card_->counters.out.delivered.value(), 1u);
}

// Linux sets 2048 bytes and allocates 1522 of them while its MTU is 1500.
TEST_F(ReceiveTest, BufferNeedsNoMoreMemoryThanTheFrame) {
  start();
  put<RxDescriptor>(kRxRing, {kMemoryBytes - 1522, 0, 0, 0, 0, 0});
  const auto data = frame(1514);
  ASSERT_TRUE(deliver(data));
  EXPECT_EQ(card_->counters.out.delivered.value(), 1u);
  EXPECT_EQ(rx(0).errors, 0);
  EXPECT_EQ(rx(0).length, 1518);
  const auto* const end = ram_.data() + kMemoryBytes - 1522;
  EXPECT_TRUE(std::equal(data.begin(), data.end(), end));
}

TEST_F(ReceiveTest, StrippingLeavesTheFcsOutOfTheLength) {
  start(rctl::kStripCrc);
  ASSERT_TRUE(deliver(frame(500)));
  EXPECT_EQ(rx(0).length, 500);
}

TEST_F(ReceiveTest, PadsToTheMinimum) {
  start(rctl::kStripCrc);
  std::memset(ram_.data() + kRxData, 0xEE, 128);
  auto data = frame(20);
  ASSERT_TRUE(deliver(data));
  EXPECT_EQ(rx(0).length, 60);
  data.resize(60);
  EXPECT_EQ(received(0, 1, 60), data);
}

TEST_F(ReceiveTest, JumboFrameSpansDescriptorsAndEndsOnTheLast) {
  start(rctl::kLongPackets | rctl::kStripCrc);
  const auto data = frame(9014);
  ASSERT_TRUE(deliver(data));
  for (std::uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(rx(i).length, 2048) << i;
    EXPECT_EQ(rx(i).status & rx_status::kEndOfPacket, 0) << i;
    EXPECT_NE(rx(i).status & rx_status::kDone, 0) << i;
  }
  EXPECT_EQ(rx(4).length, 9014 - 4 * 2048);
  EXPECT_NE(rx(4).status & rx_status::kEndOfPacket, 0);
  EXPECT_EQ(received(0, 5, 9014), data);
}

TEST_F(ReceiveTest, MultipleOfTheBufferSizeNeedsNoExtraDescriptor) {
  start(rctl::kLongPackets | rctl::kStripCrc);
  ASSERT_TRUE(deliver(frame(4096)));
  EXPECT_EQ(read(reg::kRdh), 2u);
  EXPECT_EQ(rx(1).length, 2048);
  EXPECT_NE(rx(1).status & rx_status::kEndOfPacket, 0);
}

TEST_F(ReceiveTest, FcsAloneMayTakeTheLastDescriptor) {
  start(rctl::kLongPackets);
  ASSERT_TRUE(deliver(frame(2048)));
  EXPECT_EQ(read(reg::kRdh), 2u);
  EXPECT_EQ(rx(1).length, 4);
  EXPECT_NE(rx(1).status & rx_status::kEndOfPacket, 0);
}

TEST_F(ReceiveTest, FullRingLeavesTheFrameToTheCaller) {
  start();
  write(reg::kRdt, 2);
  EXPECT_TRUE(deliver(frame(100)));
  EXPECT_TRUE(deliver(frame(100)));
  (void)read(reg::kIcr);
  EXPECT_FALSE(deliver(frame(100)));
  EXPECT_NE(read(reg::kIcr) & cause::kRxOverrun, 0u);
  EXPECT_EQ(read(0x4010), 1u);  // MPC
  EXPECT_EQ(card_->counters.out.delivered.value(), 2u);
  write(reg::kRdt, 3);
  EXPECT_TRUE(deliver(frame(100)));
}

TEST_F(ReceiveTest, JumboIsNotStartedWithoutRoomForAllOfIt) {
  start(rctl::kLongPackets);
  write(reg::kRdt, 3);
  EXPECT_FALSE(deliver(frame(9000)));
  EXPECT_EQ(read(reg::kRdh), 0u);
  EXPECT_EQ(rx(0).status, 0);
}

TEST_F(ReceiveTest, FiltersAddresses) {
  start();
  ASSERT_TRUE(deliver(frame(100, {0x02, 0, 0, 0, 0, 1})));
  EXPECT_EQ(out_dropped(DropReason::filtered), 1u);
  ASSERT_TRUE(deliver(frame(100, {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF})));
  ASSERT_TRUE(deliver(frame(100, kMac)));
  EXPECT_EQ(card_->counters.out.delivered.value(), 2u);
  write(reg::kRctl, read(reg::kRctl) | rctl::kUnicastPromiscuous);
  ASSERT_TRUE(deliver(frame(100, {0x02, 0, 0, 0, 0, 1})));
  EXPECT_EQ(card_->counters.out.delivered.value(), 3u);
  write(reg::kRctl, rctl::kEnable);  // without BAM a broadcast needs a table entry
  ASSERT_TRUE(deliver(frame(100, {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF})));
  EXPECT_EQ(out_dropped(DropReason::filtered), 2u);
}

TEST_F(ReceiveTest, MulticastTableUsesTheOffsetOfRctl) {
  constexpr std::array<std::uint8_t, 6> kGroup{0x01, 0x00, 0x5E, 0x00, 0x12, 0x34};
  constexpr std::uint32_t kHigh = 0x3412;
  constexpr std::array<unsigned, 4> kShift{4, 3, 2, 0};
  for (std::uint32_t mo = 0; mo < 4; ++mo) {
    start(mo << rctl::kMulticastOffsetShift);
    const std::uint32_t hash = (kHigh >> kShift[mo]) & 0xFFF;
    const auto dropped = out_dropped(DropReason::filtered);
    ASSERT_TRUE(deliver(frame(100, kGroup)));
    EXPECT_EQ(out_dropped(DropReason::filtered), dropped + 1) << mo;
    write(reg::kMta + 4 * (hash >> 5), 1u << (hash & 31));
    ASSERT_TRUE(deliver(frame(100, kGroup)));
    EXPECT_EQ(out_dropped(DropReason::filtered), dropped + 1) << mo;
    write(reg::kMta + 4 * (hash >> 5), 0);
  }
}

TEST_F(ReceiveTest, VlanFilterAndStripping) {
  start(rctl::kVlanFilter | rctl::kStripCrc);
  write(reg::kCtrl, ctrl::kVlanMode);
  auto tagged = frame(100, kMac, 0x8100);
  tagged[14] = std::byte{0x20};
  tagged[15] = std::byte{0x64};
  ASSERT_TRUE(deliver(tagged));
  EXPECT_EQ(out_dropped(DropReason::filtered), 1u);
  write(reg::kVfta + 4 * (100 >> 5), 1u << (100 & 31));
  ASSERT_TRUE(deliver(tagged));
  EXPECT_EQ(rx(0).special, 0x2064);
  EXPECT_NE(rx(0).status & rx_status::kVlan, 0);
  EXPECT_EQ(rx(0).length, 96);
  tagged.erase(tagged.begin() + 12, tagged.begin() + 16);
  EXPECT_EQ(received(0, 1, 96), tagged);
}

TEST_F(ReceiveTest, TagStaysWithoutVlanMode) {
  start(rctl::kStripCrc);
  auto tagged = frame(100, kMac, 0x8100);
  ASSERT_TRUE(deliver(tagged));
  EXPECT_EQ(rx(0).length, 100);
  EXPECT_EQ(rx(0).status & rx_status::kVlan, 0);
  EXPECT_EQ(received(0, 1, 100), tagged);
}

TEST_F(ReceiveTest, ClaimsOnlyChecksumsThatWereVerified) {
  start();
  write(reg::kRxcsum, rxcsum::kIpOffload | rxcsum::kTcpOffload);
  auto data = frame(60, kMac, 0x0800);
  constexpr std::array<std::uint8_t, 20> kIp{0x45, 0,    0,  0x2E, 0x12, 0x34, 0x40, 0, 64, 17,
                                             0x14, 0x89, 10, 0,    0,    1,    10,   0, 0,  2};
  for (std::size_t i = 0; i < kIp.size(); ++i)
    data[14 + i] = static_cast<std::byte>(kIp[i]);
  ASSERT_TRUE(deliver(data));
  EXPECT_EQ(rx(0).status & (rx_status::kIpChecksum | rx_status::kTcpChecksum | rx_status::kIgnoreChecksum),
            rx_status::kIpChecksum);
  Offload verified;
  verified.flags = Offload::kDataValid;
  ASSERT_TRUE(deliver(data, verified));
  EXPECT_EQ(rx(1).status & (rx_status::kIpChecksum | rx_status::kTcpChecksum),
            rx_status::kIpChecksum | rx_status::kTcpChecksum);
  data[24] = std::byte{0};
  ASSERT_TRUE(deliver(data));
  EXPECT_EQ(rx(2).status & (rx_status::kIpChecksum | rx_status::kTcpChecksum | rx_status::kIgnoreChecksum),
            rx_status::kIgnoreChecksum);
}

TEST_F(ReceiveTest, TcpChecksumIsClaimedWithoutTheIpOneToo) {
  start();
  write(reg::kRxcsum, rxcsum::kTcpOffload);  // what Linux sets
  Offload verified;
  verified.flags = Offload::kDataValid;
  ASSERT_TRUE(deliver(frame(60, kMac, 0x86DD), verified));
  EXPECT_EQ(rx(0).status & (rx_status::kIpChecksum | rx_status::kTcpChecksum | rx_status::kIgnoreChecksum),
            rx_status::kTcpChecksum);
}

TEST_F(ReceiveTest, UnfinishedFramesAreRefused) {
  start();
  Offload unfinished;
  unfinished.flags = Offload::kNeedsChecksum;
  ASSERT_TRUE(deliver(frame(60), unfinished));
  EXPECT_EQ(out_dropped(DropReason::bad_offload), 1u);
  EXPECT_EQ(rx(0).status, 0);
}

TEST_F(ReceiveTest, DelayTimerGathersFrames) {
  start();
  write(reg::kIms, cause::kRxTimer);
  write(reg::kRdtr, 0xFFFF);  // 67 ms
  ASSERT_TRUE(deliver(frame(60)));
  EXPECT_FALSE(pin_.level);
  EXPECT_NE(rx(0).status & rx_status::kDone, 0);
  write(reg::kRdtr, 0);
  ASSERT_TRUE(deliver(frame(60)));
  EXPECT_TRUE(pin_.level);
}

TEST_F(ReceiveTest, NothingIsDeliveredWhileLinkOrReceiverIsDown) {
  start();
  card_->set_link(false);
  EXPECT_TRUE(deliver(frame(100)));
  EXPECT_EQ(out_dropped(DropReason::link_down), 1u);
  card_->set_link(true);
  write(reg::kRctl, 0);
  EXPECT_TRUE(deliver(frame(100)));
  EXPECT_EQ(out_dropped(DropReason::not_ready), 1u);
}

}  // namespace
}  // namespace patchbay::devices::net::e1000
