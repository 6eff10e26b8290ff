// The console: a 16550 (COM1) whose every register access is an exit. Output is queued and leaves in small
// portions between bursts of packets; input is read only after the VMM has announced it.
//
// The transmitter is never asked whether it is ready: the VMM's is at any time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "appliances/router/core/environment.h"

namespace patchbay::router::guest {

class Uart final : public ConsoleOutput {
 public:
  explicit Uart(std::uint16_t port) noexcept : port_(port) {}

  /// Enables the received-data interrupt, which is what makes the VMM announce input.
  void enable_input() noexcept;

  /// Queues text, whose lines end in "\r\n". What does not fit is lost, and a mark is left where it was.
  void write(std::string_view text) noexcept override;
  /// Sends up to `limit` queued bytes, one exit each. Returns false when nothing is left.
  bool flush(std::size_t limit) noexcept;
  [[nodiscard]] bool idle() const noexcept { return head_ == tail_; }

  /// Reads what has been received; fills `to` only if more may be waiting.
  [[nodiscard]] std::size_t read(std::span<char> to) noexcept;

 private:
  static constexpr std::size_t kCapacity = 64 * 1024;  // a long "show" fits; power of two

  std::uint16_t port_;
  std::size_t head_ = 0;  // free-running: bytes ever queued
  std::size_t tail_ = 0;  // free-running: bytes ever sent
  std::array<char, kCapacity> queue_;
};

}  // namespace patchbay::router::guest
