// What a guest may do to the card without harm: the frame is dropped and counted, or nothing happens, and the
// card works afterwards. The numbers are those of the families of bad input that every change of the card is
// checked against: 1 ring length and head, 2 addresses, 3 loop-back, 4 segmentation, 5 checksum offsets, 6
// packet ends and lengths, 7 descriptor types, 8 tags and FCS, 9 ring registers, 10 buffer sizes, 11 receive
// rings, 12 register accesses, 13 resets in mid-transfer, 24 configuration space, 25 changes after the check.
#include "tests/unit/e1000/card.h"

namespace patchbay::devices::net::e1000 {
namespace {

using vswitch::DropReason;

class HostileTest : public CardTest {
 protected:
  /// After whatever happened: reset, start, send and receive a frame.
  void expect_alive() {
    write(reg::kCtrl, ctrl::kReset);
    enable_bus_master(true);
    tail_ = 0;
    start();
    const auto data = frame(100);
    std::memcpy(ram_.data() + kTxData, data.data(), data.size());
    queue(kTxData, 100 | kEopRsFcs);
    kick();
    const auto frames = sent();
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(frames[0], data);
    EXPECT_TRUE(deliver(data));
    EXPECT_NE(rx(0).status & rx_status::kDone, 0);
  }
  void context(std::uint64_t fields, std::uint32_t lower, std::uint32_t upper) {
    queue(fields, tx_command::kExtended | kTxTypeContext | lower, upper);
  }
};

TEST_F(HostileTest, Input01RingOfLengthZeroOrTiny) {
  for (const std::uint32_t length : {0u, 1u, 16u, 127u}) {
    start();
    write(reg::kTdlen, length);
    write(reg::kRdlen, length);
    queue(kTxData, 100 | kEopRsFcs);
    kick();
    EXPECT_TRUE(sent().empty());
    EXPECT_TRUE(deliver(frame(100)));
  }
  EXPECT_EQ(out_dropped(DropReason::not_ready), 4u);
  expect_alive();
}

TEST_F(HostileTest, Input01HeadOrTailOutsideTheRing) {
  start();
  write(reg::kTdh, 5000);
  write(reg::kTdt, 6000);
  write(reg::kRdh, 5000);
  EXPECT_TRUE(sent().empty());
  EXPECT_TRUE(deliver(frame(100)));
  write(reg::kTdh, 0);
  EXPECT_TRUE(sent().empty());
  write(reg::kRdh, 0);
  write(reg::kRdt, 0xFFFF);
  EXPECT_TRUE(deliver(frame(100)));
  expect_alive();
}

TEST_F(HostileTest, Input02RingsAndBuffersOutsideMemory) {
  start();
  queue(kMemoryBytes - 10, 100 | kEopRsFcs);   // across the end
  queue(0xFFFFFFFFFFFFFF00, 100 | kEopRsFcs);  // wraps around
  queue(0xC0000000, 100 | kEopRsFcs);          // where a BAR would be
  kick();
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(in_dropped(DropReason::malformed), 3u);
  EXPECT_EQ(tx(2).upper & kTxDone, kTxDone);
  put<RxDescriptor>(kRxRing, {0xFFFFFFFFFFFFF000, 0, 0, 0, 0, 0});
  EXPECT_TRUE(deliver(frame(100)));
  EXPECT_EQ(out_dropped(DropReason::malformed), 1u);
  EXPECT_NE(rx(0).errors, 0);
  EXPECT_TRUE(deliver(frame(100)));
  EXPECT_EQ(card_->counters.out.delivered.value(), 1u);
  write(reg::kTdbah, 0xFFFFFFFF);
  write(reg::kRdbah, 0xFFFFFFFF);
  queue(kTxData, 100 | kEopRsFcs);
  kick();
  EXPECT_TRUE(sent().empty());
  EXPECT_TRUE(deliver(frame(100)));
  expect_alive();
}

TEST_F(HostileTest, Input02RingsAcrossAHoleOrInsideTheCardsOwnRegisters) {
  constexpr std::uint32_t kBar = 0xE0000000;
  const std::uint32_t bar = kBar;
  card_->config_write(0x10, std::as_bytes(std::span(&bar, 1)));
  for (const std::uint32_t base : {static_cast<std::uint32_t>(kMemoryBytes) - 256, kBar, kBar + 0x3800, 0u}) {
    start();
    write(reg::kTdbal, base);
    write(reg::kRdbal, base);
    if (base == 0) {  // a ring in RAM, buffers across the end of it and in the registers
      put<TxDescriptor>(0, {kMemoryBytes - 50, 100 | kEopRsFcs, 0});
      put<TxDescriptor>(16, {kBar + reg::kTdt, 100 | kEopRsFcs, 0});
      put<RxDescriptor>(64, {kBar + reg::kRdt, 0, 0, 0, 0, 0});
      write(reg::kRdh, 4);
      write(reg::kRdt, 6);
    }
    write(reg::kTdt, 2);
    EXPECT_TRUE(sent().empty());
    EXPECT_TRUE(deliver(frame(100)));
  }
  EXPECT_EQ(card_->counters.out.delivered.value(), 0u);
  EXPECT_EQ(out_dropped(DropReason::not_ready), 3u);
  EXPECT_EQ(out_dropped(DropReason::malformed), 1u);
  expect_alive();
}

TEST_F(HostileTest, Input03LoopbackReturnsABurstOnce) {
  start(rctl::kLoopbackMac | rctl::kUnicastPromiscuous);
  const auto data = frame(100);
  std::memcpy(ram_.data() + kTxData, data.data(), data.size());
  for (std::uint32_t i = 0; i < kRingEntries - 1; ++i)
    queue(kTxData, 100 | kEopRsFcs);
  kick();
  for (int i = 0; i < 5; ++i)
    EXPECT_TRUE(sent().empty());
  EXPECT_EQ(read(0x4074), kRingEntries - 1);  // GPRC
  EXPECT_EQ(read(reg::kRdh), kRingEntries - 1);
  EXPECT_EQ(card_->counters.in.frames.value(), 0u);  // none of it entered the switch
  EXPECT_EQ(card_->counters.out.delivered.value(), 0u);
  expect_alive();
}

TEST_F(HostileTest, Input03LoopbackModeDoesNotFeedItself) {
  start(rctl::kLoopbackMask);
  queue(kTxData, 100 | kEopRsFcs);
  kick();
  EXPECT_EQ(sent().size(), 1u);
  EXPECT_TRUE(sent().empty());
  expect_alive();
}

TEST_F(HostileTest, Input03LoopbackIntoTheBufferThatIsBeingSent) {
  start(rctl::kLoopbackMac | rctl::kUnicastPromiscuous);
  const auto data = frame(1000);
  std::memcpy(ram_.data() + kRxData + 1, data.data(), data.size());
  queue(kRxData + 1, 1000 | kEopRsFcs);
  kick();
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(std::memcmp(ram_.data() + kRxData, data.data(), data.size()), 0);
  expect_alive();
}

TEST_F(HostileTest, Input04SegmentationThatMakesNoSense) {
  start();
  const auto data = frame(3000, kMac, 0x0800);
  std::memcpy(ram_.data() + kTxData, data.data(), data.size());
  ram_[kTxData + 14] = std::byte{0x45};
  constexpr std::uint64_t kFields = 14 | 24 << 8 | 33 << 16 | 34ull << 32 | 50ull << 40;
  // MSS 0, header lengths and offsets that contradict the frame or each other.
  struct Case {
    std::uint64_t fields;
    std::uint32_t header_length, segment_size, flags;
  };
  const Case cases[] = {
      {kFields, 54, 0, kContextTcp | kContextIpv4},     // mss 0
      {kFields, 0, 1448, kContextTcp | kContextIpv4},   // no header
      {kFields, 255, 1448, kContextIpv4},               // not TCP
      {kFields, 20, 1448, kContextTcp | kContextIpv4},  // header ends inside the IP header
      {14 | 200ull << 32 | 216ull << 40, 240, 1448, kContextTcp | kContextIpv4},  // TCP header past the copy
      {14 | 20ull << 32 | 36ull << 40, 54, 1448, kContextTcp | kContextIpv4},     // TCP inside IP
      {kFields, 74, 1448, kContextTcp},                                           // IPv6 header does not fit
      {kFields, 241, 1448, kContextTcp | kContextIpv4},                           // longer than a card takes
      {14 | 24 << 8 | 33 << 16 | 34ull << 32 | 250ull << 40, 54, 1448,
       kContextTcp | kContextIpv4},  // TCP checksum past the copy
  };
  for (const Case& c : cases) {
    context(c.fields, tx_command::kSegment | c.flags, (c.header_length << 8) | (c.segment_size << 16));
    queue(kTxData, 3000 | kData | kEopRsFcs | tx_command::kSegment, kInsertTcpChecksum << 8);
  }
  kick();
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(in_dropped(DropReason::bad_offload), std::size(cases));
  context(kFields, tx_command::kSegment | kContextTcp | kContextIpv4, (54u << 8) | (1448u << 16));
  queue(kTxData, 20 | kData | kEopRsFcs | tx_command::kSegment,
        kInsertTcpChecksum << 8);  // header longer than the frame
  kick();
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(in_dropped(DropReason::bad_offload), std::size(cases) + 1);
  expect_alive();
}

TEST_F(HostileTest, Input04FalsePayloadLengthIsNotBelieved) {
  start();
  const auto data = frame(3000, kMac, 0x0800);
  std::memcpy(ram_.data() + kTxData, data.data(), data.size());
  ram_[kTxData + 14] = std::byte{0x45};
  constexpr std::uint64_t kFields = 14 | 24 << 8 | 33 << 16 | 34ull << 32 | 50ull << 40;
  for (const std::uint32_t payload : {0u, 1u, 0xFFFFFu}) {
    context(kFields, tx_command::kSegment | kContextTcp | kContextIpv4 | payload, (54u << 8) | (1448u << 16));
    queue(kTxData, 3000 | kData | kEopRsFcs | tx_command::kSegment, kInsertTcpChecksum << 8);
  }
  kick();
  const auto frames = sent();
  ASSERT_EQ(frames.size(), 3u);
  for (const auto& f : frames) {
    EXPECT_EQ(f.size(), 3000u);
    EXPECT_EQ(std::to_integer<unsigned>(f[16]) << 8 | std::to_integer<unsigned>(f[17]), 3000u - 14);
  }
  expect_alive();
}

TEST_F(HostileTest, Input05ChecksumOffsetsPastTheFrameOrBackwards) {
  start();
  queue(kTxData, 60 | kEopRsFcs | tx_command::kInsertChecksum | (200u << 16), 34u << 8);
  queue(kTxData, 60 | kEopRsFcs | tx_command::kInsertChecksum | (20u << 16), 34u << 8);
  context(14 | 250 << 8 | 33 << 16, kContextIpv4, 0);
  queue(kTxData, 60 | kData | kEopRsFcs, kInsertIpChecksum << 8);
  context(14 | 24 << 8 | 13 << 16, kContextIpv4, 0);  // end before start
  queue(kTxData, 60 | kData | kEopRsFcs, kInsertIpChecksum << 8);
  context(14 | 24 << 8 | 0xFFFFull << 16, kContextIpv4, 0);  // end past the frame
  queue(kTxData, 60 | kData | kEopRsFcs, kInsertIpChecksum << 8);
  kick();
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(in_dropped(DropReason::bad_offload), 5u);
  expect_alive();
}

TEST_F(HostileTest, Input06PacketWithoutEnd) {
  start();
  for (std::uint32_t i = 0; i < kRingEntries - 1; ++i)
    queue(kTxData, 16 | tx_command::kInsertFcs | tx_command::kReportStatus);
  kick();
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(in_dropped(DropReason::malformed), 1u);
  EXPECT_EQ(read(reg::kTdh), read(reg::kTdt));
  expect_alive();
}

TEST_F(HostileTest, Input06MoreThanTheLongestFrameGathered) {
  start();
  for (int i = 0; i < 5; ++i)
    queue(kTxData, 16000 | kData | tx_command::kInsertFcs);
  queue(kTxData, 16000 | kData | kEopRsFcs);
  kick();
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(in_dropped(DropReason::malformed), 1u);
  expect_alive();
}

TEST_F(HostileTest, Input06EmptyPackets) {
  start();
  queue(0, 0 | kEopRsFcs);
  queue(kTxData, 0 | kData | kEopRsFcs);
  queue(kTxData, 13 | kEopRsFcs);
  kick();
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(in_dropped(DropReason::too_short), 3u);
  expect_alive();
}

TEST_F(HostileTest, Input07DescriptorTypeChangesInsideThePacket) {
  start();
  queue(kTxData, 100 | tx_command::kInsertFcs);
  queue(kTxData, 100 | kData | kEopRsFcs);
  kick();
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(in_dropped(DropReason::malformed), 1u);
  expect_alive();
}

TEST_F(HostileTest, Input07SegmentationWithoutAnyContext) {
  start();
  queue(kTxData, 3000 | kData | kEopRsFcs | tx_command::kSegment, kInsertTcpChecksum << 8);
  kick();
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(in_dropped(DropReason::bad_offload), 1u);
  expect_alive();
}

TEST_F(HostileTest, Input07ContextBetweenDataDescriptorsAndNothingButContexts) {
  start();
  const auto data = frame(200);
  std::memcpy(ram_.data() + kTxData, data.data(), data.size());
  queue(kTxData, 100 | kData | tx_command::kInsertFcs);
  context(14, 0, 0);
  queue(kTxData + 100, 100 | kData | kEopRsFcs);
  kick();
  const auto frames = sent();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0], data);
  for (int i = 0; i < 20; ++i)
    context(14, tx_command::kReportStatus, 0);
  kick();
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(read(reg::kTdh), read(reg::kTdt));
  expect_alive();
}

TEST_F(HostileTest, Input08VlanInsertionOnAFrameWithoutAddressesAndFcsOfNothing) {
  start();
  write(reg::kCtrl, ctrl::kVlanMode);
  queue(kTxData, 8 | kEopRsFcs | tx_command::kVlan, 100u << 16);
  queue(kTxData, 3 | tx_command::kEndOfPacket | tx_command::kReportStatus);
  kick();
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(in_dropped(DropReason::too_short), 2u);
  expect_alive();
}

TEST_F(HostileTest, Input09RingRegistersRewrittenBetweenPullAndRelease) {
  start();
  std::memcpy(ram_.data() + kTxData, frame(100).data(), 100);
  for (int i = 0; i < 10; ++i)
    queue(kTxData, 100 | kEopRsFcs);
  kick();
  burst_->clear();
  card_->pull(*burst_);
  ASSERT_EQ(burst_->size(), 10u);
  write(reg::kTdlen, 128);
  write(reg::kTdbal, 0xFFFFFF80);
  write(reg::kTdh, 60000);
  card_->release(10);
  EXPECT_TRUE(sent().empty());
  expect_alive();
}

TEST_F(HostileTest, Input13ResetOrBusMasterClearedInMidTransfer) {
  start();
  for (int i = 0; i < 10; ++i)
    queue(kTxData, 100 | kEopRsFcs);
  kick();
  burst_->clear();
  card_->pull(*burst_);
  write(reg::kCtrl, ctrl::kReset);
  card_->release(burst_->size());
  EXPECT_EQ(read(reg::kTdh), 0u);
  tail_ = 0;
  start();
  queue(kTxData, 100 | kEopRsFcs);
  kick();
  burst_->clear();
  card_->pull(*burst_);
  ASSERT_EQ(burst_->size(), 1u);
  enable_bus_master(false);
  card_->release(1);
  EXPECT_TRUE(sent().empty());
  EXPECT_TRUE(deliver(frame(100)));
  EXPECT_EQ(out_dropped(DropReason::not_ready), 1u);
  expect_alive();
}

TEST_F(HostileTest, Input09RingRegistersInAnyOrderWhileEnabled) {
  constexpr std::uint32_t kOffsets[] = {reg::kTdbal, reg::kTdbah, reg::kTdlen, reg::kTdh,
                                        reg::kTdt,   reg::kTctl,  reg::kRdbal, reg::kRdbah,
                                        reg::kRdlen, reg::kRdh,   reg::kRdt,   reg::kRctl};
  constexpr std::uint32_t kValues[] = {0, 1, 0x80, 0x1000, kTxRing, 0xFFFF, 0xFFFFFFFF, tctl::kEnable};
  start();
  std::uint32_t state = 1;
  for (int i = 0; i < 20000; ++i) {
    state = state * 1664525 + 1013904223;
    write(kOffsets[(state >> 16) % std::size(kOffsets)], kValues[(state >> 24) % std::size(kValues)]);
    if (i % 3 == 0) (void)sent();
    if (i % 5 == 0) (void)deliver(frame(100));
  }
  expect_alive();
}

TEST_F(HostileTest, Input10ReservedBufferSize) {
  start(rctl::kBufferExtension | rctl::kStripCrc);
  ASSERT_TRUE(deliver(frame(100)));
  EXPECT_EQ(rx(0).length, 100);
  expect_alive();
}

TEST_F(HostileTest, Input11TooFewDescriptorsForAJumboFrame) {
  start(rctl::kLongPackets);
  write(reg::kRdt, 2);
  EXPECT_FALSE(deliver(frame(9000)));
  EXPECT_FALSE(deliver(frame(9000)));
  EXPECT_EQ(rx(0).status, 0);
  EXPECT_NE(read(reg::kIcr) & cause::kRxOverrun, 0u);
  EXPECT_FALSE(deliver(frame(9000)));
  EXPECT_EQ(read(reg::kIcr) & cause::kRxOverrun, 0u);  // said once
  EXPECT_TRUE(deliver(frame(1000)));
  expect_alive();
}

TEST_F(HostileTest, Input11NullReceiveBuffersAndJumboWithoutLongPackets) {
  start();
  for (std::uint32_t i = 0; i < kRingEntries; ++i)
    put<RxDescriptor>(kRxRing + i * 16, {0, 0, 0, 0, 0, 0});
  EXPECT_TRUE(deliver(frame(100)));
  EXPECT_TRUE(deliver(frame(1519)));
  EXPECT_EQ(out_dropped(DropReason::too_long), 1u);
  EXPECT_EQ(read(0x40AC), 1u);  // ROC
  expect_alive();
}

TEST_F(HostileTest, Input12OddAccesses) {
  start();
  for (const std::size_t size : {1u, 2u, 8u}) {
    for (std::uint64_t offset = 0; offset + size <= kMmioBytes; offset += 3) {
      std::array<std::byte, 8> data{};
      data.fill(std::byte{0xFF});
      if (offset % 4 != 0 || size != 8) card_->bar_write(0, offset, std::span(data).first(size));
      card_->bar_read(0, offset, std::span(data).first(size));
    }
  }
  for (std::uint64_t offset = 0; offset < kIoBytes; ++offset) {
    std::array<std::byte, 4> data{};
    card_->bar_write(1, offset, std::span(data).first(1));
    card_->bar_read(1, offset, std::span(data).first(2));
  }
  expect_alive();
}

TEST_F(HostileTest, Input12EveryRegisterTakesEveryPattern) {
  for (const std::uint32_t value : {0u, 0xFFFFFFFFu, 0xAAAAAAAAu, 0x80000000u}) {
    for (std::uint32_t offset = 0; offset < kMmioBytes; offset += 4) {
      write(offset, value);
      (void)read(offset);
    }
    (void)sent();
    (void)deliver(frame(100));
  }
  expect_alive();
}

TEST_F(HostileTest, Input12TablesPhysAndWordsThatDoNotExist) {
  for (std::uint32_t offset = reg::kRaEnd; offset < reg::kVfta; offset += 4) {  // RAL and RAH 16 and beyond
    write(offset, 0xFFFFFFFF);
    EXPECT_EQ(read(offset), 0u);
  }
  for (std::uint32_t phy = 0; phy < 32; ++phy) {
    write(reg::kMdic, mdic::kRead | (phy << mdic::kPhyShift) | (2u << mdic::kRegisterShift));
    EXPECT_EQ((read(reg::kMdic) & mdic::kError) == 0, phy == 1);
    EXPECT_NE(read(reg::kMdic) & mdic::kReady, 0u);
  }
  write(reg::kMdic, 0);  // no operation at all
  EXPECT_NE(read(reg::kMdic) & mdic::kError, 0u);
  for (std::uint32_t address = 64; address < 256; ++address) {
    write(reg::kEerd, eerd::kStart | (address << eerd::kAddressShift));
    EXPECT_EQ(read(reg::kEerd) >> eerd::kDataShift, 0xFFFFu);
  }
  expect_alive();
}

TEST_F(HostileTest, Input13ResetThroughTheIoWindowBetweenPullAndRelease) {
  start();
  for (int i = 0; i < 10; ++i)
    queue(kTxData, 100 | kEopRsFcs);
  kick();
  burst_->clear();
  card_->pull(*burst_);
  ASSERT_EQ(burst_->size(), 10u);
  const std::uint32_t words[] = {reg::kCtrl, ctrl::kReset};
  card_->bar_write(1, 0, std::as_bytes(std::span(words).first(1)));
  card_->bar_write(1, 4, std::as_bytes(std::span(words).last(1)));
  card_->release(10);
  EXPECT_EQ(tx(0).upper & kTxDone, 0u);
  EXPECT_FALSE(pin_.level);
  expect_alive();
}

TEST_F(HostileTest, Input24ConfigurationWritesOfAnyKind) {
  start();
  for (const std::uint32_t value : {0xFFFFFFFFu, 0u, 0xA5A5A5A5u}) {
    for (std::uint32_t offset = 0; offset < 4096; ++offset) {
      for (const std::size_t size : {1u, 2u, 4u}) {
        std::array<std::byte, 4> data{};
        std::memcpy(data.data(), &value, 4);
        card_->config_write(offset, std::span(data).first(size));
        card_->config_read(offset, std::span(data).first(size));
      }
    }
    (void)sent();
    (void)deliver(frame(100));
  }
  expect_alive();
}

TEST_F(HostileTest, Input25WhatTheGuestRewritesAfterThePullIsNotParsedAgain) {
  start();
  const auto data = frame(100);
  std::memcpy(ram_.data() + kTxData, data.data(), data.size());
  queue(kTxData, 100 | kEopRsFcs);
  kick();
  burst_->clear();
  card_->pull(*burst_);
  ASSERT_EQ(burst_->size(), 1u);
  std::memset(ram_.data() + kTxData, 0xFF, 100);
  put<TxDescriptor>(kTxRing, {0xFFFFFFFFFFFFFFFF, 0xFFFFFFFF, 0});
  EXPECT_EQ(bytes_of((*burst_)[0]), data);
  card_->release(1);
  EXPECT_EQ(read(reg::kTdh), 1u);
  expect_alive();
}

}  // namespace
}  // namespace patchbay::devices::net::e1000
