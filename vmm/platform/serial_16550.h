// A 16550A serial port (National Semiconductor PC16550D data sheet) without a line behind it: output is never
// busy, input waits in the host until the guest takes it, so nothing is lost and no baud rate slows it.
//
// Threads: registers from vCPU threads, push_input() from any; one mutex. The output callback runs on the
// vCPU thread with that mutex held: it must be quick and must not call back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <span>

#include "devices/bus.h"
#include "vmm/address_space.h"

namespace patchbay::vmm {

class Serial16550 final : public PortDevice {
 public:
  static constexpr std::uint32_t kPorts = 8;
  static constexpr std::size_t kMaxWaitingInput = 64 * 1024;

  struct Host {
    std::function<void(std::span<const std::byte>)> output;
    /// Input arrived: for machines without an interrupt controller. May be empty. Any thread.
    std::function<void()> input_arrived;
    devices::InterruptPin* pin = nullptr;  // may be null
  };
  explicit Serial16550(Host host) : host_(std::move(host)) {}

  /// Queues bytes for the guest; returns how many fitted (kMaxWaitingInput in all).
  std::size_t push_input(std::span<const std::byte> data);
  void reset() noexcept;

  void read(std::uint64_t offset, std::span<std::byte> data) noexcept override;
  void write(std::uint64_t offset, std::span<const std::byte> data) noexcept override;
  void write_string(std::uint64_t offset, std::size_t size,
                    std::span<const std::byte> data) noexcept override;

 private:
  [[nodiscard]] std::uint8_t read_register(unsigned index) noexcept;
  void write_register(unsigned index, std::uint8_t value) noexcept;
  [[nodiscard]] std::uint8_t interrupt_identification() noexcept;
  [[nodiscard]] std::uint8_t modem_status() noexcept;
  [[nodiscard]] std::size_t trigger_level() const noexcept;
  void write_fifo_control(std::uint8_t value) noexcept;
  void transmit(std::span<const std::byte> data) noexcept;
  void update_interrupt() noexcept;

  Host host_;
  std::mutex mutex_;
  std::deque<std::uint8_t> input_;
  std::uint8_t interrupt_enable_ = 0;
  std::uint8_t fifo_control_ = 0;
  std::uint8_t line_control_ = 0;
  std::uint8_t modem_control_ = 0;
  std::uint8_t scratch_ = 0;
  std::uint8_t last_modem_inputs_ = 0xB0;  // carrier, data set ready, clear to send
  std::uint8_t modem_changes_ = 0;
  std::uint16_t divisor_ = 1;
  bool transmitter_empty_event_ = false;  // cleared by reading IIR, set by writing data
};

}  // namespace patchbay::vmm
