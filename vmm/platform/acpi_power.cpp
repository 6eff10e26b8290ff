#include "vmm/platform/acpi_power.h"

#include <array>
#include <chrono>
#include <cstring>

namespace patchbay::vmm {
namespace {

// PM1 status and enable (tables 4.11 and 4.12). The timer's carry bit is not reported: a 32-bit timer needs none.
constexpr std::uint16_t kGlobalLock = 1 << 5;
constexpr std::uint16_t kPowerButton = 1 << 8;
constexpr std::uint16_t kClock = 1 << 10;  // Linux enables it whatever the FADT says; there is no sleep to wake from
constexpr std::uint16_t kWake = 1 << 15;
constexpr std::uint16_t kEnabling = kGlobalLock | kPowerButton | kClock;

// PM1 control (table 4.13).
constexpr std::uint16_t kSleepType = 7 << 10;
constexpr std::uint16_t kSleepEnable = 1 << 13;
constexpr std::uint16_t kKeptControl = 1 << 1 | kSleepType;  // BM_RLD, SLP_TYP

std::uint32_t timer() noexcept {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const auto ns = static_cast<std::uint64_t>(std::chrono::nanoseconds(now).count());
  constexpr std::uint64_t kSecond = 1'000'000'000;
  return static_cast<std::uint32_t>(ns / kSecond * AcpiPower::kTimerHz +
                                    ns % kSecond * AcpiPower::kTimerHz / kSecond);
}

std::uint16_t with_byte(std::uint16_t word, bool high, std::uint8_t byte) noexcept {
  return static_cast<std::uint16_t>(high ? (word & 0x00FF) | byte << 8 : (word & 0xFF00) | byte);
}

}  // namespace

void AcpiPower::press_button() noexcept {
  const std::lock_guard lock(mutex_);
  status_ |= kPowerButton;
  update_interrupt();
}

void AcpiPower::reset() noexcept {
  const std::lock_guard lock(mutex_);
  status_ = enable_ = 0;
  control_ = kSciEnabled;
  update_interrupt();
}

void AcpiPower::update_interrupt() noexcept {
  interrupt_.set((status_ & enable_) != 0);
}

std::uint8_t AcpiPower::read_byte(std::uint64_t offset) const noexcept {
  const auto half = [&](std::uint16_t word) { return static_cast<std::uint8_t>(offset % 2 == 0 ? word : word >> 8); };
  switch (offset / 2) {
    case kEventBlock / 2:
      return half(status_);
    case kEventBlock / 2 + 1:
      return half(enable_);
    case kControlBlock / 2:
      return half(control_);
    default:
      return 0;
  }
}

bool AcpiPower::write_byte(std::uint64_t offset, std::uint8_t value) noexcept {
  const bool high = offset % 2 != 0;
  switch (offset / 2) {
    case kEventBlock / 2:  // writing ones clears
      status_ = static_cast<std::uint16_t>(status_ & ~with_byte(0, high, value));
      return false;
    case kEventBlock / 2 + 1:
      enable_ = with_byte(enable_, high, value) & kEnabling;
      return false;
    case kControlBlock / 2: {
      const std::uint16_t written = with_byte(control_, high, value);
      control_ = static_cast<std::uint16_t>((written & kKeptControl) | kSciEnabled);  // SLP_EN reads as zero
      if ((written & kSleepEnable) == 0) return false;
      if ((written & kSleepType) >> 10 == kSoftOff) return true;
      status_ |= kWake;  // there is no other state to sleep in, so that one is over at once
      return false;
    }
    default:
      return false;
  }
}

void AcpiPower::read(std::uint64_t offset, std::span<std::byte> data) noexcept {
  if (offset >= kTimerBlock) {
    std::array<std::byte, 8> bytes{};
    const std::uint32_t ticks = timer();
    std::memcpy(bytes.data(), &ticks, sizeof ticks);
    for (std::size_t i = 0; i < data.size(); ++i)
      data[i] = offset - kTimerBlock + i < sizeof ticks ? bytes[offset - kTimerBlock + i] : std::byte{0};
    return;
  }
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < data.size(); ++i)
    data[i] = static_cast<std::byte>(read_byte(offset + i));
}

void AcpiPower::write(std::uint64_t offset, std::span<const std::byte> data) noexcept {
  bool off = false;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < data.size(); ++i)
      off = write_byte(offset + i, std::to_integer<std::uint8_t>(data[i])) || off;
    update_interrupt();
  }
  if (off) on_off_();
}

}  // namespace patchbay::vmm
