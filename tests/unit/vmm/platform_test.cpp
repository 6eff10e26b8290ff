// The devices of a PC's board: power management, clock, keyboard controller's reset.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <ctime>
#include <thread>

#include "vmm/platform/acpi_power.h"
#include "vmm/platform/cmos_clock.h"
#include "vmm/platform/keyboard_controller.h"

namespace patchbay::vmm {
namespace {

using namespace std::chrono_literals;

class Pin final : public devices::InterruptPin {
 public:
  void set(bool asserted) noexcept override { level = asserted; }
  std::atomic<bool> level{false};
};

template <typename T>
T in(PortDevice& device, std::uint64_t offset) {
  T value{};
  device.read(offset, std::as_writable_bytes(std::span(&value, 1)));
  return value;
}
template <typename T>
void out(PortDevice& device, std::uint64_t offset, T value) {
  device.write(offset, std::as_bytes(std::span(&value, 1)));
}

// --- ACPI power management
// ----------------------------------------------------------------------------------------------

class AcpiPowerTest : public testing::Test {
 protected:
  Pin pin_;
  int offs_ = 0;
  AcpiPower power_{pin_, [this] { ++offs_; }};
};

TEST_F(AcpiPowerTest, ButtonInterruptsOnceEnabledUntilCleared) {
  power_.press_button();
  EXPECT_FALSE(pin_.level) << "not enabled yet";
  EXPECT_EQ(in<std::uint16_t>(power_, 0), 0x100);
  out<std::uint16_t>(power_, 2, 0x100);
  EXPECT_TRUE(pin_.level);
  out<std::uint16_t>(power_, 0, 0xFEFF);
  EXPECT_TRUE(pin_.level) << "only ones clear";
  out<std::uint16_t>(power_, 0, 0x100);
  EXPECT_FALSE(pin_.level);
  EXPECT_EQ(in<std::uint16_t>(power_, 0), 0);
}

TEST_F(AcpiPowerTest, RegistersCanBeReachedInAnySize) {
  out<std::uint32_t>(power_, 0, 0x0120'FFFF);
  EXPECT_EQ(in<std::uint16_t>(power_, 2), 0x120);
  EXPECT_EQ(in<std::uint8_t>(power_, 3), 0x01);
  power_.press_button();
  EXPECT_EQ(in<std::uint32_t>(power_, 0), 0x0120'0100U);
  out<std::uint8_t>(power_, 1, 1);
  EXPECT_FALSE(pin_.level);
  out<std::uint16_t>(power_, 2, 0xFFFF);
  EXPECT_EQ(in<std::uint16_t>(power_, 2), 0x520) << "events that never come cannot be enabled";
}

TEST_F(AcpiPowerTest, OnlySoftOffSwitchesOff) {
  EXPECT_EQ(in<std::uint16_t>(power_, 4), 1) << "ACPI is on from the start";
  out<std::uint16_t>(power_, 4, 5 << 10);
  EXPECT_EQ(offs_, 0) << "the type alone does nothing";
  out<std::uint16_t>(power_, 4, 1 << 13 | 3 << 10);
  EXPECT_EQ(offs_, 0) << "no other sleeping state";
  EXPECT_EQ(in<std::uint16_t>(power_, 0), 0x8000) << "awake again at once";
  out<std::uint16_t>(power_, 4, 1 << 13 | 5 << 10);
  EXPECT_EQ(offs_, 1);
  EXPECT_EQ(in<std::uint16_t>(power_, 4), 5 << 10 | 1) << "SLP_EN reads as zero";
  out<std::uint8_t>(power_, 5, 0x34);
  EXPECT_EQ(offs_, 2) << "in a byte";
}

TEST_F(AcpiPowerTest, TimerRunsAtItsRate) {
  const auto first = in<std::uint32_t>(power_, 8);
  std::this_thread::sleep_for(50ms);
  const std::uint32_t ticks = in<std::uint32_t>(power_, 8) - first;
  EXPECT_GE(ticks, AcpiPower::kTimerHz / 20);
  EXPECT_LT(ticks, AcpiPower::kTimerHz * 5) << "it is not in other units";
  out<std::uint32_t>(power_, 8, 0);
  EXPECT_EQ(in<std::uint64_t>(power_, 12), 0U) << "nothing behind it";
}

TEST_F(AcpiPowerTest, ResetForgetsTheButton) {
  out<std::uint16_t>(power_, 2, 0x100);
  power_.press_button();
  power_.reset();
  EXPECT_FALSE(pin_.level);
  EXPECT_EQ(in<std::uint32_t>(power_, 0), 0U);
}

// --- clock
// ----------------------------------------------------------------------------------------------------------------

class CmosClockTest : public testing::Test {
 protected:
  std::uint8_t get(std::uint8_t index) {
    out<std::uint8_t>(clock_, 0, index);
    return in<std::uint8_t>(clock_, 1);
  }
  void put(std::uint8_t index, std::uint8_t value) {
    out<std::uint8_t>(clock_, 0, index);
    out<std::uint8_t>(clock_, 1, value);
  }
  /// Seconds since 1970 as an operating system would read them.
  std::time_t time(bool binary = false) {
    std::array<std::uint8_t, 7> before{};
    std::array<std::uint8_t, 7> again{};
    do {
      before = registers();
      again = registers();
    } while (before != again);
    const auto number = [&](std::size_t i) {
      return binary ? again[i] : (again[i] >> 4) * 10 + (again[i] & 0xF);
    };
    std::tm parts{};
    parts.tm_sec = number(0);
    parts.tm_min = number(1);
    parts.tm_hour = number(2);
    parts.tm_mday = number(3);
    parts.tm_mon = number(4) - 1;
    parts.tm_year = number(6) * 100 + number(5) - 1900;
    return ::timegm(&parts);
  }
  std::array<std::uint8_t, 7> registers() {
    return {get(0x00), get(0x02), get(0x04), get(0x07), get(0x08), get(0x09), get(0x32)};
  }
  bool wait_for_interrupt() {
    for (int i = 0; i < 3000 && !pin_.level; ++i)
      std::this_thread::sleep_for(1ms);
    return pin_.level;
  }

  Pin pin_;
  CmosClock clock_{pin_};
};

TEST_F(CmosClockTest, ShowsTheHostsTime) {
  EXPECT_EQ(get(0x0D), 0x80) << "the battery is fine";
  EXPECT_NEAR(static_cast<double>(time()), static_cast<double>(std::time(nullptr)), 1);
  put(0x0B, 0x06);
  EXPECT_NEAR(static_cast<double>(time(true)), static_cast<double>(std::time(nullptr)), 1);
}

TEST_F(CmosClockTest, KeepsTheTimeThatTheGuestSets) {
  put(0x0B, 0x82);
  const std::pair<std::uint8_t, std::uint8_t> values[] = {{0x00, 0x58}, {0x02, 0x59}, {0x04, 0x23}, {0x07, 0x31},
                                                          {0x08, 0x12}, {0x09, 0x99}, {0x32, 0x19}};
  for (const auto& [index, value] : values)
    put(index, value);
  EXPECT_EQ(get(0x00), 0x58) << "it stands while it is being set";
  put(0x0B, 0x02);
  EXPECT_NEAR(static_cast<double>(time()), 946'684'798.0, 1);
  clock_.reset();
  EXPECT_NEAR(static_cast<double>(time()), 946'684'798.0, 1) << "the battery keeps it through a reset";
}

TEST_F(CmosClockTest, TwelveHourClock) {
  put(0x0B, 0x80);
  put(0x04, 0x91);  // 11 p.m.
  put(0x0B, 0x00);
  EXPECT_EQ(get(0x04), 0x91);
  put(0x0B, 0x02);
  EXPECT_EQ(get(0x04), 0x23);
  put(0x0B, 0x82);
  put(0x04, 0x00);
  put(0x0B, 0x02);
  put(0x0B, 0x00);
  EXPECT_EQ(get(0x04), 0x12) << "midnight is 12 a.m.";
}

TEST_F(CmosClockTest, ImpossibleDatesAreHarmless) {
  for (const std::uint8_t value : {std::uint8_t{0x00}, std::uint8_t{0xFF}, std::uint8_t{0x99}}) {
    put(0x0B, 0x80);
    for (const int index : {0x00, 0x02, 0x04, 0x06, 0x07, 0x08, 0x09, 0x32})
      put(static_cast<std::uint8_t>(index), value);
    put(0x0B, 0x02);
    (void)registers();
  }
}

TEST_F(CmosClockTest, UpdateEndedInterrupts) {
  put(0x0B, 0x12);
  ASSERT_TRUE(wait_for_interrupt());
  EXPECT_EQ(get(0x0C) & 0x90, 0x90);
  EXPECT_FALSE(pin_.level) << "reading the flags takes the interrupt back";
}

TEST_F(CmosClockTest, AlarmInterrupts) {
  for (const int index : {0x01, 0x03, 0x05})
    put(static_cast<std::uint8_t>(index), 0xFF);  // any second
  put(0x0B, 0x22);
  ASSERT_TRUE(wait_for_interrupt());
  EXPECT_EQ(get(0x0C) & 0xA0, 0xA0);
}

TEST_F(CmosClockTest, PeriodicInterrupts) {
  put(0x0A, 0x2A);  // 64 Hz
  put(0x0B, 0x42);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(wait_for_interrupt());
    EXPECT_EQ(get(0x0C) & 0xC0, 0xC0);
  }
  clock_.reset();
  EXPECT_FALSE(pin_.level);
  std::this_thread::sleep_for(50ms);
  EXPECT_FALSE(pin_.level) << "none after a reset";
}

TEST_F(CmosClockTest, MemoryKeepsWhatIsWritten) {
  put(0x40, 0xA5);
  put(0x0D, 0x00);
  put(0x0C, 0xFF);
  EXPECT_EQ(get(0x40), 0xA5);
  EXPECT_EQ(get(0xC0), 0xA5) << "bit 7 of the index is not part of it";
  EXPECT_EQ(get(0x0D), 0x80);
  EXPECT_EQ(in<std::uint8_t>(clock_, 0), 0xFF) << "the index cannot be read";
  EXPECT_EQ(in<std::uint32_t>(clock_, 1), 0xFFFF'FF80U);
}

// --- keyboard controller
// --------------------------------------------------------------------------------------------------

TEST(KeyboardControllerTest, OnlyThePulseResets) {
  int resets = 0;
  KeyboardController keyboard([&] { ++resets; });
  EXPECT_EQ(in<std::uint8_t>(keyboard, 0), 0) << "ready for a command";
  for (const int command : {0xD1, 0x60, 0xAA, 0xF0, 0xFF})
    out(keyboard, 0, static_cast<std::uint8_t>(command));
  EXPECT_EQ(resets, 0);
  out<std::uint8_t>(keyboard, 0, 0xFE);
  EXPECT_EQ(resets, 1);
}

}  // namespace
}  // namespace patchbay::vmm
