#include "devices/net/e1000/eeprom.h"

#include "tests/unit/e1000/card.h"

namespace patchbay::devices::net::e1000 {
namespace {

class EepromTest : public CardTest {
 protected:
  /// Reads a word the way Linux does on the 82540: request, select, then bits by hand.
  std::uint16_t microwire_read(unsigned address) {
    write(reg::kEecd, eecd::kRequest);
    EXPECT_NE(read(reg::kEecd) & eecd::kGrant, 0u);
    const auto shift_out = [&](std::uint32_t bits, unsigned count) {
      for (unsigned i = count; i-- > 0;) {
        const std::uint32_t data =
            eecd::kRequest | eecd::kSelect | (((bits >> i) & 1) != 0 ? eecd::kDataIn : 0);
        write(reg::kEecd, data);
        write(reg::kEecd, data | eecd::kClock);
        write(reg::kEecd, data);
      }
    };
    write(reg::kEecd, eecd::kRequest | eecd::kSelect);
    shift_out(0b110, 3);
    shift_out(address, 6);
    std::uint16_t value = 0;
    for (unsigned i = 0; i < 16; ++i) {
      write(reg::kEecd, eecd::kRequest | eecd::kSelect | eecd::kClock);
      value = static_cast<std::uint16_t>((value << 1) | ((read(reg::kEecd) & eecd::kDataOut) != 0 ? 1 : 0));
      write(reg::kEecd, eecd::kRequest | eecd::kSelect);
    }
    write(reg::kEecd, 0);
    return value;
  }
  std::uint16_t eerd_read(unsigned address) {
    write(reg::kEerd, eerd::kStart | (address << eerd::kAddressShift));
    const std::uint32_t value = read(reg::kEerd);
    EXPECT_NE(value & eerd::kDone, 0u);
    return static_cast<std::uint16_t>(value >> eerd::kDataShift);
  }
};

TEST_F(EepromTest, MicrowireReadsTheAddressLowByteFirst) {
  EXPECT_EQ(microwire_read(0), 0x1102);
  EXPECT_EQ(microwire_read(1), 0x3322);
  EXPECT_EQ(microwire_read(2), 0x5544);
}

TEST_F(EepromTest, WordsSumToTheSignatureByBothPaths) {
  std::uint16_t by_microwire = 0, by_register = 0;
  for (unsigned i = 0; i < Eeprom::kWords; ++i) {
    by_microwire = static_cast<std::uint16_t>(by_microwire + microwire_read(i));
    by_register = static_cast<std::uint16_t>(by_register + eerd_read(i));
  }
  EXPECT_EQ(by_microwire, Eeprom::kChecksum);
  EXPECT_EQ(by_register, Eeprom::kChecksum);
}

TEST_F(EepromTest, WordRegisterPastTheEndReadsAsOpenBus) {
  EXPECT_EQ(eerd_read(64), 0xFFFF);
  EXPECT_EQ(eerd_read(255), 0xFFFF);
}

TEST_F(EepromTest, DeselectingInMidCommandStartsOver) {
  write(reg::kEecd, eecd::kRequest | eecd::kSelect | eecd::kDataIn);
  write(reg::kEecd, eecd::kRequest | eecd::kSelect | eecd::kDataIn | eecd::kClock);
  write(reg::kEecd, 0);
  EXPECT_EQ(microwire_read(1), 0x3322);
}

}  // namespace
}  // namespace patchbay::devices::net::e1000
