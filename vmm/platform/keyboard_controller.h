// What is left of the keyboard controller (8042): the pulse on its output port that resets the machine (command 0xFE).
// There is no keyboard; the status register always says that a command may be sent and no byte waits.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>

#include "vmm/address_space.h"

namespace patchbay::vmm {

class KeyboardController final : public PortDevice {
 public:
  static constexpr std::uint32_t kPorts = 1;  // command and status; port 0x60 belongs to the keyboard

  /// `on_reset` runs on the vCPU thread and must not throw.
  explicit KeyboardController(std::function<void()> on_reset) : on_reset_(std::move(on_reset)) {}

  void read(std::uint64_t, std::span<std::byte> data) noexcept override {
    std::fill(data.begin(), data.end(), std::byte{0});
  }
  void write(std::uint64_t, std::span<const std::byte> data) noexcept override {
    constexpr std::byte kPulseReset{0xFE};
    if (!data.empty() && data[0] == kPulseReset) on_reset_();
  }

 private:
  std::function<void()> on_reset_;
};

}  // namespace patchbay::vmm
