#include <poll.h>

#include <chrono>
#include <thread>

#include "tests/unit/e1000/card.h"

namespace patchbay::devices::net::e1000 {
namespace {

using vswitch::DropReason;
using vswitch::Offload;

class TransmitTest : public CardTest {
 protected:
  void place(std::uint64_t address, std::span<const std::byte> data) {
    std::memcpy(ram_.data() + address, data.data(), data.size());
  }
  void context(std::uint64_t fields, std::uint32_t lower, std::uint32_t upper) {
    queue(fields, tx_command::kExtended | kTxTypeContext | lower, upper);
  }
  static std::uint64_t fields(std::uint64_t ipcss, std::uint64_t ipcso, std::uint64_t ipcse,
                              std::uint64_t tucss, std::uint64_t tucso, std::uint64_t tucse) {
    return ipcss | ipcso << 8 | ipcse << 16 | tucss << 32 | tucso << 40 | tucse << 48;
  }
  /// Ethernet + IPv4 + TCP headers as Linux leaves them for segmentation: lengths and IP checksum zero.
  static std::vector<std::byte> tcp4(std::size_t payload) {
    auto data = frame(54 + payload, kMac, 0x0800);
    constexpr std::array<std::uint8_t, 40> kHeaders{0x45, 0,    0,    0,    0x12, 0x34, 0x40, 0, 64, 6, 0,
                                                    0,    10,   0,    0,    1,    10,   0,    0, 2,  // IPv4
                                                    0x30, 0x39, 0x00, 0x50, 0,    0,    0,    1, 0,  0, 0,
                                                    2,    0x50, 0x18, 0xFF, 0xFF, 0x14, 0x0A, 0, 0};
    for (std::size_t i = 0; i < kHeaders.size(); ++i)
      data[14 + i] = static_cast<std::byte>(kHeaders[i]);
    return data;
  }
};

TEST_F(TransmitTest, LegacyDescriptorSendsOneFrame) {
  start();
  const auto data = frame(1000);
  place(kTxData, data);
  queue(kTxData, 1000 | kEopRsFcs);
  kick();
  write(reg::kIms, cause::kTxDescriptorWritten);
  const auto frames = sent();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0], data);
  EXPECT_EQ(tx(0).upper & kTxDone, kTxDone);
  EXPECT_EQ(read(reg::kTdh), 1u);
  EXPECT_TRUE(pin_.level);
  EXPECT_EQ(read(reg::kIcr), cause::kTxDescriptorWritten | cause::kTxQueueEmpty);
}

TEST_F(TransmitTest, GathersDescriptorsUpToTheEndOfThePacket) {
  start();
  const auto data = frame(3000);
  place(kTxData, data);
  queue(kTxData, 10 | kData | tx_command::kInsertFcs);
  queue(kTxData + 10, 0 | kData | tx_command::kInsertFcs);  // empty descriptors are allowed
  queue(kTxData + 10, 200 | kData | tx_command::kInsertFcs);
  queue(kTxData + 210, 2790 | kData | kEopRsFcs);
  kick();
  const auto frames = sent();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0], data);
}

TEST_F(TransmitTest, WaitsForTheEndOfThePacket) {
  start();
  place(kTxData, frame(200));
  queue(kTxData, 100 | tx_command::kInsertFcs);
  kick();
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(read(reg::kTdh), 0u);
  queue(kTxData + 100, 100 | kEopRsFcs);
  kick();
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_EQ(read(reg::kTdh), 2u);
}

TEST_F(TransmitTest, DescriptorsComeBackOnlyWhenTheSwitchIsDone) {
  start();
  place(kTxData, frame(100));
  for (int i = 0; i < 3; ++i)
    queue(kTxData, 100 | kEopRsFcs);
  kick();
  burst_->clear();
  card_->pull(*burst_);
  ASSERT_EQ(burst_->size(), 3u);
  EXPECT_EQ(tx(0).upper & kTxDone, 0u);
  card_->release(1);
  EXPECT_EQ(tx(0).upper & kTxDone, kTxDone);
  EXPECT_EQ(tx(1).upper & kTxDone, 0u);
  EXPECT_EQ(read(reg::kTdh), 1u);
  EXPECT_EQ(sent().size(), 2u);
}

TEST_F(TransmitTest, WritesDoneOnlyWhereAsked) {
  start();
  place(kTxData, frame(100));
  queue(kTxData, 100 | tx_command::kEndOfPacket | tx_command::kInsertFcs);
  kick();
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_EQ(tx(0).upper & kTxDone, 0u);
  EXPECT_EQ(read(reg::kTdh), 1u);
}

TEST_F(TransmitTest, PadsShortFramesWithZeros) {
  start();
  auto data = frame(20);
  place(kTxData, data);
  queue(kTxData, 20 | kEopRsFcs);
  kick();
  data.resize(60);
  const auto frames = sent();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0], data);
}

TEST_F(TransmitTest, FramesWithTheirOwnFcsLoseIt) {
  start();
  const auto data = frame(204);
  place(kTxData, data);
  queue(kTxData, 204 | tx_command::kEndOfPacket | tx_command::kReportStatus);
  kick();
  const auto frames = sent();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0], std::vector<std::byte>(data.begin(), data.begin() + 200));
}

TEST_F(TransmitTest, LegacyChecksumBecomesAnOffload) {
  start();
  place(kTxData, frame(100));
  queue(kTxData, 100 | kEopRsFcs | tx_command::kInsertChecksum | (50u << 16), 34u << 8);
  kick();
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_EQ(offloads_[0].flags, Offload::kNeedsChecksum);
  EXPECT_EQ(offloads_[0].checksum_start, 34);
  EXPECT_EQ(offloads_[0].checksum_offset, 16);
}

TEST_F(TransmitTest, ContextInsertsTheIpChecksumAndRequestsTheTcpOne) {
  start();
  auto data = tcp4(100);
  data[16] = std::byte{0};
  data[17] = std::byte{140};
  place(kTxData, data);
  context(fields(14, 24, 33, 34, 50, 0), kContextTcp | kContextIpv4, 0);
  queue(kTxData, 154 | kData | kEopRsFcs, (kInsertIpChecksum | kInsertTcpChecksum) << 8);
  kick();
  const auto frames = sent();
  ASSERT_EQ(frames.size(), 1u);
  // 45 00 00 8c 12 34 40 00 40 06 ---- 0a 00 00 01 0a 00 00 02
  EXPECT_EQ(frames[0][24], std::byte{0x14});
  EXPECT_EQ(frames[0][25], std::byte{0x36});
  EXPECT_EQ(offloads_[0].flags, Offload::kNeedsChecksum);
  EXPECT_EQ(offloads_[0].gso_type, Offload::kGsoNone);
}

TEST_F(TransmitTest, SegmentationFillsInWhatTheGuestLeftToTheCard) {
  start();
  const auto data = tcp4(4000);
  place(kTxData, data);
  context(fields(14, 24, 33, 34, 50, 0), tx_command::kSegment | kContextTcp | kContextIpv4 | 4000,
          (54u << 8) | (1448u << 16));
  queue(kTxData, 54 | kData | tx_command::kSegment | tx_command::kInsertFcs,
        (kInsertIpChecksum | kInsertTcpChecksum) << 8);
  queue(kTxData + 54, 4000 | kData | kEopRsFcs | tx_command::kSegment);
  kick();
  const auto frames = sent();
  ASSERT_EQ(frames.size(), 1u);
  ASSERT_EQ(frames[0].size(), 4054u);
  EXPECT_EQ(frames[0][16], std::byte{0x0F});  // 4040
  EXPECT_EQ(frames[0][17], std::byte{0xC8});
  // Pseudo-header sum 0x140A plus the TCP length 4020 (0x0FB4).
  EXPECT_EQ(frames[0][50], std::byte{0x23});
  EXPECT_EQ(frames[0][51], std::byte{0xBE});
  EXPECT_EQ(offloads_[0].gso_type, Offload::kGsoTcp4);
  EXPECT_EQ(offloads_[0].gso_size, 1448);
  EXPECT_EQ(offloads_[0].checksum_start, 34);
  EXPECT_EQ(offloads_[0].checksum_offset, 16);
}

TEST_F(TransmitTest, KeepsSegmentationAndChecksumContextsApart) {
  start();
  place(kTxData, tcp4(4000));
  context(fields(14, 24, 33, 34, 50, 0), tx_command::kSegment | kContextTcp | kContextIpv4,
          (54u << 8) | (1448u << 16));
  context(fields(14, 24, 33, 34, 40, 0), kContextIpv4, 0);
  queue(kTxData, 4054 | kData | kEopRsFcs | tx_command::kSegment, kInsertTcpChecksum << 8);
  queue(kTxData, 200 | kData | kEopRsFcs, kInsertTcpChecksum << 8);
  kick();
  ASSERT_EQ(sent().size(), 2u);
  EXPECT_EQ(offloads_[0].checksum_offset, 16);
  EXPECT_EQ(offloads_[0].gso_size, 1448);
  EXPECT_EQ(offloads_[1].checksum_offset, 6);
  EXPECT_EQ(offloads_[1].gso_type, Offload::kGsoNone);
}

TEST_F(TransmitTest, UnconsumedPacketKeepsTheContextItWasQueuedWith) {
  start();
  place(kTxData, tcp4(100));
  context(fields(0, 0, 0, 34, 50, 0), kContextTcp, 0);
  queue(kTxData, 154 | kData | kEopRsFcs, kInsertTcpChecksum << 8);
  queue(kTxData, 154 | kData | kEopRsFcs, kInsertTcpChecksum << 8);
  context(fields(0, 0, 0, 34, 40, 0), 0, 0);
  queue(kTxData, 154 | kData | kEopRsFcs, kInsertTcpChecksum << 8);
  kick();
  burst_->clear();
  card_->pull(*burst_);
  ASSERT_EQ(burst_->size(), 3u);
  card_->release(1);
  ASSERT_EQ(sent().size(), 2u);
  EXPECT_EQ(offloads_[0].checksum_offset, 16);
  EXPECT_EQ(offloads_[1].checksum_offset, 6);
}

TEST_F(TransmitTest, InsertsTheVlanTagOfTheLastDescriptor) {
  start();
  write(reg::kCtrl, ctrl::kVlanMode);
  for (const std::size_t size : {60u, 124u, 126u, 128u, 129u, 1500u}) {
    const auto data = frame(size);
    place(kTxData, data);
    queue(kTxData, static_cast<std::uint32_t>(size) | kEopRsFcs | tx_command::kVlan, 0x2064u << 16);
    kick();
    auto expected = data;
    constexpr std::array<std::byte, 4> kTag{std::byte{0x81}, std::byte{0}, std::byte{0x20}, std::byte{0x64}};
    expected.insert(expected.begin() + 12, kTag.begin(), kTag.end());
    const auto frames = sent();
    ASSERT_EQ(frames.size(), 1u) << size;
    EXPECT_EQ(frames[0], expected) << size;
  }
}

TEST_F(TransmitTest, SleepingWorkerIsWokenByTheTail) {
  start();
  EXPECT_FALSE(card_->arm());
  place(kTxData, frame(100));
  queue(kTxData, 100 | kEopRsFcs);
  kick();
  pollfd wake{card_->wake_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&wake, 1, 0), 1);
  EXPECT_TRUE(card_->arm());
  card_->disarm();
  EXPECT_EQ(::poll(&wake, 1, 0), 0);
  EXPECT_EQ(sent().size(), 1u);
}

TEST_F(TransmitTest, RingWrapsAround) {
  start();
  const auto data = frame(100);
  place(kTxData, data);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 50; ++i)
      queue(kTxData, 100 | kEopRsFcs);
    kick();
    EXPECT_EQ(sent().size(), 50u);
  }
  EXPECT_EQ(read(reg::kTdh), 500u % kRingEntries);
}

TEST_F(TransmitTest, AdjoiningDescriptorsBecomeOnePiece) {
  start();
  const auto data = frame(9000);
  place(kTxData, data);
  queue(kTxData, 4096 | tx_command::kInsertFcs);
  queue(kTxData + 4096, 4096 | tx_command::kInsertFcs);
  queue(kTxData + 8192, 804 | tx_command::kInsertFcs);
  queue(kTxData + 8996, 4 | kEopRsFcs);
  kick();
  burst_->clear();
  card_->pull(*burst_);
  ASSERT_EQ(burst_->size(), 1u);
  EXPECT_EQ((*burst_)[0].tail.size(), 1u);
  EXPECT_EQ(bytes_of((*burst_)[0]), data);
  card_->release(1);
}

TEST_F(TransmitTest, SegmentsCountAsFramesOfTheWire) {
  start();
  place(kTxData, tcp4(4000));
  context(fields(14, 24, 33, 34, 50, 0), tx_command::kSegment | kContextTcp | kContextIpv4 | 4000,
          (54u << 8) | (1448u << 16));
  queue(kTxData, 4054 | kData | kEopRsFcs | tx_command::kSegment,
        (kInsertIpChecksum | kInsertTcpChecksum) << 8);
  kick();
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_EQ(read(0x4080), 3u);                                // GPTC
  EXPECT_EQ(read(0x4090), 2 * 1506u + 58 + 4000 - 2 * 1448);  // GOTCL
  EXPECT_EQ(read(0x40F8), 1u);                                // TSCTC
}

TEST_F(TransmitTest, SumOverPartOfTheFrameIsTakenAtOnce) {
  start();
  const auto data = tcp4(100);
  place(kTxData, data);
  context(fields(14, 24, 33, 34, 50, 59), kContextTcp | kContextIpv4, 0);
  queue(kTxData, 154 | kData | kEopRsFcs, kInsertTcpChecksum << 8);
  kick();
  const auto frames = sent();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(offloads_[0].flags, 0);
  std::uint32_t sum = 0;
  for (std::size_t i = 34; i < 60; i += 2)
    sum +=
        std::to_integer<std::uint32_t>(frames[0][i]) << 8 | std::to_integer<std::uint32_t>(frames[0][i + 1]);
  // Over its own field the sum of what was there and of its complement is minus zero.
  const auto before =
      std::to_integer<std::uint32_t>(data[50]) << 8 | std::to_integer<std::uint32_t>(data[51]);
  sum += before;
  while (sum > 0xFFFF)
    sum = (sum & 0xFFFF) + (sum >> 16);
  EXPECT_EQ(sum, 0xFFFFu);
}

TEST_F(TransmitTest, LinkDownDropsWhatTheGuestSends) {
  start();
  place(kTxData, frame(100));
  card_->set_link(false);
  queue(kTxData, 100 | kEopRsFcs);
  kick();
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(in_dropped(vswitch::DropReason::link_down), 1u);
  EXPECT_EQ(tx(0).upper & kTxDone, kTxDone);
}

TEST_F(TransmitTest, PacketWithoutItsEndDoesNotKeepTheWorkerAwake) {
  start();
  place(kTxData, frame(200));
  queue(kTxData, 100 | tx_command::kInsertFcs);
  kick();
  EXPECT_TRUE(sent().empty());
  EXPECT_FALSE(card_->arm());
  queue(kTxData + 100, 100 | kEopRsFcs);
  kick();
  EXPECT_TRUE(card_->arm());
  card_->disarm();
  EXPECT_EQ(sent().size(), 1u);
}

TEST_F(TransmitTest, CompletionsThatMayWaitAreHeldBackAndComeTogether) {
  start();
  place(kTxData, frame(100));
  write(reg::kIms, cause::kTxDescriptorWritten | cause::kRxTimer);
  write(reg::kTidv, 0xFFFF);  // 67 ms
  queue(kTxData, 100 | kEopRsFcs | tx_command::kDelay);
  kick();
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_FALSE(pin_.level);
  EXPECT_EQ(tx(0).upper & kTxDone, kTxDone);
  EXPECT_TRUE(deliver(frame(100)));  // an interrupt that may not wait takes it along
  EXPECT_TRUE(pin_.level);
  const std::uint32_t causes = read(reg::kIcr);
  EXPECT_NE(causes & cause::kTxDescriptorWritten, 0u);
  EXPECT_NE(causes & cause::kRxTimer, 0u);
  write(reg::kTadv, 1);  // 1 us in all
  queue(kTxData, 100 | kEopRsFcs | tx_command::kDelay);
  kick();
  ASSERT_EQ(sent().size(), 1u);
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  (void)sent();
  EXPECT_TRUE(pin_.level);
}

}  // namespace
}  // namespace patchbay::devices::net::e1000
