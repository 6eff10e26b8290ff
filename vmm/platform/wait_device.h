// The appliance's way to sleep: "wake me on work or at this deadline", one exit, no interrupt controller.
//
// A control block in guest memory (64 bytes, aligned to 64; its guest address is written as u32 to port
// `base`):
//   u64 deadline_tsc   written by the guest; 0 = none
//   u32 pending        the VMM sets bits, the guest clears them with an atomic exchange
//   u32 reserved
// Reading a u32 from port `base` + 4 blocks until `pending` is not 0 or the guest's TSC has passed the
// deadline, and returns the pending bits seen (0: deadline). The guest's TSC must equal the host's.
//
// Threads: signal() from any thread, the rest from the vCPU thread; reset() while no vCPU runs.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "devices/bus.h"
#include "devices/guest_memory.h"
#include "vmm/address_space.h"

namespace patchbay::vmm {

/// Bits of `pending`.
enum class Wake : std::uint32_t { device_work = 1, console_input = 2, power_button = 4 };

class WaitDevice final : public PortDevice {
 public:
  static constexpr std::uint64_t kControlBlockOffset = 0;
  static constexpr std::uint64_t kWaitOffset = 4;
  static constexpr std::uint32_t kPorts = 8;

  /// `memory` must outlive the device. Throws std::system_error.
  explicit WaitDevice(const devices::GuestMemory& memory);

  void set_tsc_khz(std::uint32_t khz) noexcept { tsc_khz_ = khz; }
  /// Sets a pending bit and wakes the guest if it waits; at most one system call.
  void signal(Wake bit) noexcept;
  /// Makes wait() look at its condition again.
  void interrupt() noexcept;
  /// Blocks as described above; nothing if `interrupted` became true (then call it again later).
  /// `interrupted` is looked at after every interrupt().
  template <typename Interrupted>
  [[nodiscard]] std::optional<std::uint32_t> wait(const Interrupted& interrupted) noexcept {
    waiting_.store(true, std::memory_order_seq_cst);
    std::optional<std::uint32_t> result;
    while (!interrupted()) {
      result = ready();
      if (result) break;
      sleep();
    }
    waiting_.store(false, std::memory_order_relaxed);
    return result;
  }
  void reset() noexcept;

  /// Without blocking: what wait() would return now, 0 if it would block.
  void read(std::uint64_t offset, std::span<std::byte> data) noexcept override;
  void write(std::uint64_t offset, std::span<const std::byte> data) noexcept override;

 private:
  struct ControlBlock {
    std::uint64_t deadline_tsc;
    std::uint32_t pending;
    std::uint32_t reserved;
  };
  static constexpr std::size_t kControlBlockBytes = 64;
  static_assert(sizeof(ControlBlock) <= kControlBlockBytes);

  [[nodiscard]] std::optional<std::uint32_t> ready() const noexcept;
  void sleep() noexcept;

  const devices::GuestMemory& memory_;
  devices::FileDescriptor wake_fd_;
  std::uint32_t tsc_khz_ = 1'000'000;
  std::atomic<bool> waiting_{false};
  std::atomic<ControlBlock*> block_{nullptr};
  ControlBlock before_block_{};  // stands in until the guest names its own
};

}  // namespace patchbay::vmm
