// The fixed hardware of ACPI (ACPI 6.4 4.8): power management 1 event and control registers with the power button and
// soft-off, and the power management timer. There is no system management mode: ACPI is on from the start (SCI_EN).
//
// Threads: registers from vCPU threads, press_button() from any; one mutex. on_off runs on the vCPU thread, without it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>

#include "devices/bus.h"
#include "vmm/address_space.h"

namespace patchbay::vmm {

class AcpiPower final : public PortDevice {
 public:
  static constexpr std::uint8_t kPorts = 16;
  // Register blocks, as offsets.
  static constexpr std::uint16_t kEventBlock = 0;    // PM1 status, PM1 enable: 16 bits each (4.8.3.1)
  static constexpr std::uint16_t kControlBlock = 4;  // PM1 control: 16 bits (4.8.3.2)
  static constexpr std::uint16_t kTimerBlock = 8;    // 32 bits (4.8.3.3)
  static constexpr std::uint8_t kSoftOff = 5;        // SLP_TYP of S5
  static constexpr std::uint64_t kTimerHz = 3'579'545;

  /// `interrupt` is the SCI, level-triggered. `on_off`: the guest entered S5.
  AcpiPower(devices::InterruptPin& interrupt, std::function<void()> on_off)
      : interrupt_(interrupt), on_off_(std::move(on_off)) {}

  /// The power button was pressed.
  void press_button() noexcept;
  void reset() noexcept;

  void read(std::uint64_t offset, std::span<std::byte> data) noexcept override;
  void write(std::uint64_t offset, std::span<const std::byte> data) noexcept override;

 private:
  [[nodiscard]] std::uint8_t read_byte(std::uint64_t offset) const noexcept;
  /// True if the guest entered S5.
  [[nodiscard]] bool write_byte(std::uint64_t offset, std::uint8_t value) noexcept;
  void update_interrupt() noexcept;

  devices::InterruptPin& interrupt_;
  std::function<void()> on_off_;
  std::mutex mutex_;
  std::uint16_t status_ = 0;
  std::uint16_t enable_ = 0;
  std::uint16_t control_ = kSciEnabled;

  static constexpr std::uint16_t kSciEnabled = 1;
};

}  // namespace patchbay::vmm
