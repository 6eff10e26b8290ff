// The battery-backed clock of a PC (Motorola MC146818A data sheet, century at 0x32 as ACPI names it) with its 128 bytes
// of memory, behind an index and a data port. It shows the host's time in UTC plus what the guest has set it off by.
//
// Alarm, update-ended and periodic interrupts come from a thread that exists only while the guest has one of them
// enabled (a minority of guests, and rarely).
//
// Threads: registers from vCPU threads, everything else from any; one mutex.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <thread>

#include "devices/bus.h"
#include "vmm/address_space.h"

namespace patchbay::vmm {

class CmosClock final : public PortDevice {
 public:
  static constexpr std::uint8_t kPorts = 2;
  static constexpr std::uint8_t kCentury = 0x32;

  explicit CmosClock(devices::InterruptPin& interrupt) : interrupt_(interrupt) {}
  ~CmosClock() override;

  /// Power-on: interrupts off; the time goes on, as the memory's contents do.
  void reset() noexcept;

  void read(std::uint64_t offset, std::span<std::byte> data) noexcept override;
  void write(std::uint64_t offset, std::span<const std::byte> data) noexcept override;

 private:
  using Time = std::chrono::sys_time<std::chrono::nanoseconds>;

  [[nodiscard]] std::uint8_t read_register(std::uint8_t index) noexcept;
  void write_register(std::uint8_t index, std::uint8_t value) noexcept;
  [[nodiscard]] Time now() const noexcept;
  /// Time registers <-> time of day.
  void show(Time time) noexcept;
  [[nodiscard]] Time shown() const noexcept;
  [[nodiscard]] std::uint8_t encoded(unsigned value) const noexcept;
  [[nodiscard]] unsigned decoded(std::uint8_t value) const noexcept;
  [[nodiscard]] std::chrono::nanoseconds period() const noexcept;  // zero: none
  [[nodiscard]] bool alarm_matches() noexcept;
  void update_interrupt() noexcept;
  void start_ticking() noexcept;  // if the guest wants interrupts
  void stop_ticking() noexcept;   // without the mutex
  void tick() noexcept;           // the thread

  devices::InterruptPin& interrupt_;
  std::mutex mutex_;
  std::uint8_t index_ = 0;
  std::array<std::uint8_t, 128> registers_ = initial();
  std::chrono::nanoseconds offset_{0};  // the guest's time minus the host's
  Time last_update_seen_{};             // when the guest last read the flags, for those that poll
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread ticker_;

  static std::array<std::uint8_t, 128> initial() noexcept;
};

}  // namespace patchbay::vmm
