// Debian's generic kernel, unmodified, on our machine: number of processors, power, reset, pause, devices of the board.
#include <gmock/gmock.h>

#include <cstdio>
#include <cstring>
#include <thread>

#include "linux_guest.h"

namespace patchbay::vmm {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

class LinuxBootTest : public LinuxTest {};
class LinuxProcessorsTest : public LinuxTest, public testing::WithParamInterface<unsigned> {};

TEST_P(LinuxProcessorsTest, BootsWithAllProcessorsAndSwitchesItselfOff) {
  LinuxGuest guest("echo processors $(nproc); echo cores $(grep -c ^processor /proc/cpuinfo) in "
                   "$(grep '^physical id' /proc/cpuinfo | sort -u | wc -l) package",
                   [](VmConfig& config) { config.vcpus = GetParam(); });
  const std::string output = guest.run();
  EXPECT_THAT(output, HasSubstr("processors " + std::to_string(GetParam()) + "\n"));
  EXPECT_THAT(output, HasSubstr("cores " + std::to_string(GetParam()) + " in 1 package"));
  EXPECT_FALSE(guest->status().exit_status) << "off by ACPI, not by the exit port";
}

INSTANTIATE_TEST_SUITE_P(Vcpus, LinuxProcessorsTest, testing::Values(1, 2, 4),
                         [](const auto& instance) { return std::to_string(instance.param); });

TEST_F(LinuxBootTest, BoardIsComplete) {
  LinuxGuest guest(
      "cat /sys/devices/system/clocksource/clocksource0/available_clocksource; cat /sys/class/rtc/rtc0/name; "
      "echo clock differs by $(( $(cat /sys/class/rtc/rtc0/since_epoch) - $(date +%s) )) s; "
      "grep -E 'ttyS0|rtc0|acpi' /proc/interrupts; cat /proc/iomem | grep -i ecam; cat /proc/ioports; "
      "dd if=/dev/urandom of=/tmp/a bs=1M count=1 2>/dev/null; hwclock -r -u -f /dev/rtc0 && echo hwclock works");
  const std::string output = guest.run();
  EXPECT_THAT(output, HasSubstr("kvm-clock"));
  EXPECT_THAT(output, HasSubstr("acpi_pm"));
  EXPECT_THAT(output, HasSubstr("rtc_cmos"));
  EXPECT_THAT(output, testing::ContainsRegex("clock differs by -?[01] s"));
  EXPECT_THAT(output, HasSubstr("ttyS0"));
  EXPECT_THAT(output, HasSubstr("IO-APIC   9-fasteoi   acpi"));
  EXPECT_THAT(output, HasSubstr("ACPI PM1a_EVT_BLK"));
  EXPECT_THAT(output, HasSubstr("hwclock works"));
}

TEST_F(LinuxBootTest, ResetByTheGuestStartsItAnew) {
  LinuxGuest guest("reboot -f");
  guest->power_on();
  ASSERT_TRUE(guest.wait_for_output(kGuestIsUp, 2));
  EXPECT_GE(guest->statistics().guest_resets, 1U);
  guest->power_off();
  EXPECT_EQ(guest->state(), VmState::off);
}

TEST_F(LinuxBootTest, ResetByTheGuestCanEndIt) {
  LinuxGuest guest("reboot -f", [](VmConfig& config) { config.on_guest_reset = OnGuestReset::power_off; });
  (void)guest.run();
  EXPECT_EQ(guest->state(), VmState::off);
  EXPECT_EQ(guest->statistics().guest_resets, 0U);
}

TEST_F(LinuxBootTest, ResetFromOutsideThenPowerButton) {
  LinuxGuest guest("", [](VmConfig& config) { config.vcpus = 2; });
  guest->power_on();
  ASSERT_TRUE(guest.wait_for_output(kGuestIsUp));
  guest->reset();
  ASSERT_TRUE(guest.wait_for_output(kGuestIsUp, 2));
  ASSERT_TRUE(guest->press_power_button());
  EXPECT_TRUE(guest.wait_for_output("patchbay: power button"));
  EXPECT_TRUE(guest.wait_for_state(VmState::off));
  EXPECT_FALSE(guest->press_power_button());
}

TEST_F(LinuxBootTest, PauseStopsTheGuestsClocks) {
  LinuxGuest guest("cat /proc/uptime; echo pause now; sleep 2; cat /proc/uptime; dmesg -r | tail -n 5",
                   [](VmConfig& config) { config.vcpus = 2; });
  guest->power_on();
  ASSERT_TRUE(guest.wait_for_output("pause now"));
  guest->pause();
  const std::string before = guest.console();
  std::this_thread::sleep_for(25s);  // longer than the watchdogs of Linux wait
  EXPECT_EQ(guest.console(), before);
  guest->resume();
  ASSERT_TRUE(guest.wait_for_state(VmState::off));
  const std::string text = guest.console();
  double first = 0;
  double second = 0;
  const std::size_t up = text.find(kGuestIsUp);
  ASSERT_EQ(std::sscanf(text.c_str() + up + std::strlen(kGuestIsUp), " %lf", &first), 1) << text;
  const std::size_t again = text.find("pause now\n");
  ASSERT_EQ(std::sscanf(text.c_str() + again + std::strlen("pause now\n"), "%lf", &second), 1) << text;
  EXPECT_GE(second - first, 1.5);
  EXPECT_LT(second - first, 20) << "the pause is not among it";
  EXPECT_THAT(text, Not(HasSubstr("lockup")));
  EXPECT_THAT(text, Not(HasSubstr("stall")));
  EXPECT_THAT(text, Not(HasSubstr("Marking clocksource")));
}

}  // namespace
}  // namespace patchbay::vmm
