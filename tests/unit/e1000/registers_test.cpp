#include <poll.h>

#include <thread>

#include "tests/unit/e1000/card.h"

namespace patchbay::devices::net::e1000 {
namespace {

using RegistersTest = CardTest;

std::uint32_t mdic_command(std::uint32_t operation, unsigned phy, unsigned index, std::uint16_t data = 0) {
  return operation | (phy << mdic::kPhyShift) | (index << mdic::kRegisterShift) | data;
}

TEST_F(RegistersTest, IdentifiesAs82540em) {
  std::array<std::byte, 4> id{};
  card_->config_read(0, id);
  EXPECT_EQ(std::to_integer<int>(id[0]) | std::to_integer<int>(id[1]) << 8, 0x8086);
  EXPECT_EQ(std::to_integer<int>(id[2]) | std::to_integer<int>(id[3]) << 8, 0x100E);
  EXPECT_EQ(card_->bar_size(0), kMmioBytes);
}

TEST_F(RegistersTest, ReceiveAddressZeroHoldsTheMac) {
  EXPECT_EQ(read(reg::kRa), 0x33221102u);
  EXPECT_EQ(read(reg::kRa + 4), 0x80005544u);
}

TEST_F(RegistersTest, PhyAnswersAtAddressOneOnly) {
  write(reg::kMdic, mdic_command(mdic::kRead, 1, 2));
  EXPECT_EQ(read(reg::kMdic) & 0xFFFF, 0x0141u);
  EXPECT_NE(read(reg::kMdic) & mdic::kReady, 0u);
  EXPECT_EQ(read(reg::kMdic) & mdic::kError, 0u);
  write(reg::kMdic, mdic_command(mdic::kRead, 2, 2));
  EXPECT_NE(read(reg::kMdic) & mdic::kError, 0u);
  EXPECT_NE(read(reg::kMdic) & mdic::kReady, 0u);
}

TEST_F(RegistersTest, PhyResetAndRestartBitsClearThemselves) {
  write(reg::kMdic, mdic_command(mdic::kWrite, 1, 0, 0x9340));
  write(reg::kMdic, mdic_command(mdic::kRead, 1, 0));
  EXPECT_EQ(read(reg::kMdic) & 0x8200, 0u);
}

TEST_F(RegistersTest, ReadingCausesClearsThemAndDeassertsThePin) {
  write(reg::kIms, cause::kLinkChange);
  EXPECT_FALSE(pin_.level);
  write(reg::kIcs, cause::kLinkChange);
  EXPECT_TRUE(pin_.level);
  EXPECT_EQ(read(reg::kIcr), cause::kLinkChange);
  EXPECT_FALSE(pin_.level);
  EXPECT_EQ(read(reg::kIcr), 0u);
}

TEST_F(RegistersTest, MaskedCauseDoesNotAssertThePinUntilEnabled) {
  write(reg::kIcs, cause::kRxTimer);
  EXPECT_FALSE(pin_.level);
  write(reg::kIms, cause::kRxTimer);
  EXPECT_TRUE(pin_.level);
  write(reg::kImc, cause::kRxTimer);
  EXPECT_FALSE(pin_.level);
}

TEST_F(RegistersTest, WritingOnesToCausesClearsThose) {
  write(reg::kIcs, cause::kRxTimer | cause::kLinkChange);
  write(reg::kIcr, cause::kRxTimer);
  EXPECT_EQ(read(reg::kIcr), cause::kLinkChange);
}

TEST_F(RegistersTest, ThrottlingHoldsTheSecondInterruptBackAndWakesTheSleepingWorkerForIt) {
  write(reg::kItr, 0xFFFF);  // 16.8 ms
  write(reg::kIms, cause::kRxTimer);
  write(reg::kIcs, cause::kRxTimer);
  ASSERT_TRUE(pin_.level);
  EXPECT_NE(read(reg::kIcr), 0u);
  EXPECT_FALSE(card_->arm());
  write(reg::kIcs, cause::kRxTimer);
  EXPECT_FALSE(pin_.level);
  pollfd wake{card_->wake_fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&wake, 1, 2000), 1);
  card_->disarm();
  EXPECT_TRUE(pin_.level);
}

TEST_F(RegistersTest, ResetClearsItselfAndEverythingElse) {
  start();
  write(reg::kIms, 0xFF);
  write(reg::kMta, 0xFFFFFFFF);
  write(reg::kCtrl, ctrl::kReset);
  EXPECT_EQ(read(reg::kCtrl) & ctrl::kReset, 0u);
  EXPECT_EQ(read(reg::kIms), 0u);
  EXPECT_EQ(read(reg::kMta), 0u);
  EXPECT_EQ(read(reg::kRctl), 0u);
  EXPECT_EQ(read(reg::kTdlen), 0u);
  EXPECT_EQ(read(reg::kRa), 0x33221102u);
}

TEST_F(RegistersTest, LinkChangesShowInStatusPhyAndCauses) {
  EXPECT_NE(read(reg::kStatus) & status::kLinkUp, 0u);
  (void)read(reg::kIcr);
  card_->set_link(false);
  EXPECT_EQ(read(reg::kStatus) & status::kLinkUp, 0u);
  EXPECT_EQ(read(reg::kIcr), cause::kLinkChange);
  write(reg::kMdic, mdic_command(mdic::kRead, 1, 1));
  EXPECT_EQ(read(reg::kMdic) & 0x0024, 0u);
  card_->set_link(true);
  EXPECT_NE(read(reg::kStatus) & status::kLinkUp, 0u);
  write(reg::kMdic, mdic_command(mdic::kRead, 1, 1));
  EXPECT_EQ(read(reg::kMdic) & 0x0024, 0x0024u);
}

TEST_F(RegistersTest, IoWindowReachesTheSameRegisters) {
  const auto io_write = [&](std::uint64_t offset, std::uint32_t value) {
    std::array<std::byte, 4> data{};
    std::memcpy(data.data(), &value, 4);
    card_->bar_write(1, offset, data);
  };
  io_write(0, reg::kVet);
  io_write(4, 0x88A8);
  EXPECT_EQ(read(reg::kVet), 0x88A8u);
  std::array<std::byte, 4> data{};
  card_->bar_read(1, 4, data);
  EXPECT_EQ(std::to_integer<unsigned>(data[0]) | std::to_integer<unsigned>(data[1]) << 8, 0x88A8u);
}

TEST_F(RegistersTest, StatisticsClearWhenReadHighHalfLast) {
  start(rctl::kUnicastPromiscuous);
  ASSERT_TRUE(deliver(frame(100)));
  EXPECT_EQ(read(0x4074), 1u);
  EXPECT_EQ(read(0x4074), 0u);
  EXPECT_EQ(read(0x4060), 1u);  // 65-127 bytes
  EXPECT_EQ(read(0x4088), 104u);
  EXPECT_EQ(read(0x408C), 0u);
  EXPECT_EQ(read(0x4088), 0u);
}

/// The register test of Linux's `ethtool -t`.
TEST_F(RegistersTest, KeepsTheBitsThatTheDriversSelfTestLooksFor) {
  struct Case {
    std::uint32_t offset, mask, write;
  };
  constexpr Case kCases[] = {{reg::kFcal, 0xFFFFFFFF, 0xFFFFFFFF},  {reg::kFcah, 0xFFFF, 0xFFFFFFFF},
                             {reg::kFct, 0xFFFF, 0xFFFFFFFF},       {reg::kVet, 0xFFFF, 0xFFFFFFFF},
                             {reg::kRdtr, 0xFFFF, 0xFFFFFFFF},      {reg::kRdbah, 0xFFFFFFFF, 0xFFFFFFFF},
                             {reg::kRdlen, 0xFFF80, 0xFFFFF},       {reg::kRdh, 0xFFFF, 0xFFFF},
                             {reg::kRdt, 0xFFFF, 0xFFFF},           {reg::kFcrth, 0xFFF8, 0xFFF8},
                             {reg::kFcttv, 0xFFFF, 0xFFFF},         {reg::kTipg, 0x3FFFFFFF, 0x3FFFFFFF},
                             {reg::kTdbah, 0xFFFFFFFF, 0xFFFFFFFF}, {reg::kTdlen, 0xFFF80, 0xFFFFF},
                             {reg::kRdbal, 0xFFFFFFF0, 0xFFFFFFFF}, {reg::kTxcw, 0xC000FFFF, 0xFFFF},
                             {reg::kTdbal, 0xFFFFFFF0, 0xFFFFFFFF}, {reg::kTidv, 0xFFFF, 0xFFFF},
                             {reg::kRa + 4, 0x8003FFFF, 0xFFFFFFFF}};
  for (const Case& c : kCases) {
    for (const std::uint32_t pattern : {0x5A5A5A5Au, 0xA5A5A5A5u, 0u, 0xFFFFFFFFu}) {
      write(c.offset, c.write & pattern);
      EXPECT_EQ(read(c.offset), c.write & pattern & c.mask) << std::hex << c.offset;
    }
  }
  const std::uint32_t before = read(reg::kStatus);
  write(reg::kStatus, 0xFFFFF833);
  EXPECT_EQ(read(reg::kStatus), before);
  for (std::uint32_t bit = 0; bit < 10; ++bit) {  // its interrupt test
    write(reg::kImc, 0xFFFFFFFF);
    write(reg::kIms, 1u << bit);
    write(reg::kIcs, 1u << bit);
    EXPECT_TRUE(pin_.level) << bit;
    EXPECT_EQ(read(reg::kIcr), 1u << bit);
    EXPECT_FALSE(pin_.level) << bit;
  }
}

}  // namespace
}  // namespace patchbay::devices::net::e1000
