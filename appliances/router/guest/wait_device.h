// How the guest sleeps: one read of a port that the VMM answers when there is work or a deadline has passed.
// The counterpart is vmm/platform/wait_device.h, where the protocol is described.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "appliances/router/guest/cpu.h"

namespace patchbay::router::guest {

class WaitDevice {
 public:
  static constexpr std::uint32_t kDeviceWork = 1;    // some device sent an interrupt message
  static constexpr std::uint32_t kConsoleInput = 2;  // the UART has received something
  static constexpr std::uint32_t kPowerButton = 4;

  /// Registers the control block; one exit. At most one object.
  explicit WaitDevice(std::uint16_t port) noexcept : port_(port) {
    out32(port_, static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(&control_)));
  }
  WaitDevice(const WaitDevice&) = delete;
  WaitDevice& operator=(const WaitDevice&) = delete;

  /// Takes the reasons that have come up since the last call; a plain load while there are none.
  [[nodiscard]] std::uint32_t take_pending() noexcept {
    if (control_.pending.load(std::memory_order_relaxed) == 0) return 0;
    return control_.pending.exchange(0, std::memory_order_acq_rel);
  }

  /// Sleeps until a reason comes up, at once if there is one, or until `deadline_tsc` (0: none). Expensive.
  void wait(std::uint64_t deadline_tsc) noexcept {
    control_.deadline_tsc.store(deadline_tsc, std::memory_order_relaxed);
    static_cast<void>(in32(static_cast<std::uint16_t>(port_ + kWaitOffset)));
  }

 private:
  static constexpr std::uint16_t kWaitOffset = 4;

  struct alignas(64) Control {
    std::atomic<std::uint64_t> deadline_tsc{0};
    std::atomic<std::uint32_t> pending{0};
    std::uint32_t reserved = 0;
  };
  static_assert(sizeof(Control) == 64 && std::atomic<std::uint64_t>::is_always_lock_free);

  Control control_;
  std::uint16_t port_;
};

}  // namespace patchbay::router::guest
