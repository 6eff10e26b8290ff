// The port through which a guest switches itself off: a 32-bit (or narrower) write of its exit status.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <utility>

#include "vmm/address_space.h"

namespace patchbay::vmm {

class ExitPort final : public PortDevice {
 public:
  static constexpr std::uint32_t kPorts = 4;

  /// `on_exit` runs on the vCPU thread and must not throw.
  explicit ExitPort(std::function<void(std::uint32_t status)> on_exit) : on_exit_(std::move(on_exit)) {}

  void read(std::uint64_t, std::span<std::byte> data) noexcept override {
    std::fill(data.begin(), data.end(), std::byte{0xFF});
  }
  void write(std::uint64_t offset, std::span<const std::byte> data) noexcept override {
    if (offset != 0 || data.size() > sizeof(std::uint32_t)) return;
    std::uint32_t status = 0;
    std::memcpy(&status, data.data(), data.size());
    on_exit_(status);
  }

 private:
  std::function<void(std::uint32_t)> on_exit_;
};

}  // namespace patchbay::vmm
