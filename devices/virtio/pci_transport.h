// Virtio over PCI, modern interface only (Virtio 1.2, 4.1): a PCI function that makes one virtio device
// reachable.
//
//   BAR 0 (64-bit memory, 16 KiB)   0x0000 common configuration   0x1000 ISR
//                                   0x2000 device configuration   0x3000 notifications, 4 bytes a queue
//   BAR 2 (32-bit memory, 8 KiB)    MSI-X table and pending bits: one vector a queue, one for the
//   configuration
//
// A notification of a queue goes to the device's doorbell descriptor without a call where the machine can do
// that (devices::Doorbells). The PCI configuration access window (4.1.4.9) works for reads that trap; where
// the guest reads its configuration page directly, the window shows what was last written to it.
#pragma once

#include <cstdint>
#include <mutex>

#include "devices/pci/function.h"
#include "devices/virtio/device.h"
#include "devices/virtio/pci_common_config.h"

namespace patchbay::devices::virtio {

class PciTransport final : public pci::Function, private Transport {
 public:
  static constexpr unsigned kRegisterBar = 0;
  static constexpr unsigned kMsixBar = 2;
  static constexpr std::uint32_t kCommonOffset = 0x0000;
  static constexpr std::uint32_t kIsrOffset = 0x1000;
  static constexpr std::uint32_t kDeviceOffset = 0x2000;
  static constexpr std::uint32_t kNotifyOffset = 0x3000;
  static constexpr std::uint32_t kNotifyMultiplier = 4;

  /// `class_code` as in PCI configuration space (0x020000: Ethernet controller). The device outlives the
  /// transport and has no other.
  PciTransport(Device& device, std::uint32_t class_code);
  ~PciTransport() override;

 private:
  // pci::Function
  void on_bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> data) noexcept override;
  void on_bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data) noexcept override;
  void on_config_read(std::uint32_t offset, std::span<std::byte> data) noexcept override;
  void on_config_written(std::uint32_t offset, std::size_t length) noexcept override;
  void on_bar_moved(unsigned bar, std::uint64_t address) noexcept override;
  void on_reset() noexcept override;

  // Transport
  void raise_queue_interrupt(unsigned queue) noexcept override;
  void raise_config_interrupt() noexcept override;
  [[nodiscard]] bool memory_access_allowed() const noexcept override { return bus_master(); }
  [[nodiscard]] const GuestMemory& guest_memory() const noexcept override { return memory(); }

  /// What the driver asked the configuration access window to do (struct virtio_pci_cfg_cap).
  struct Window {
    std::uint32_t offset;
    std::uint32_t length;
    bool valid;
  };

  void add_structure(std::uint8_t type, std::uint32_t offset, std::uint32_t length);
  void raise(std::uint16_t vector, std::uint8_t isr_bit) noexcept;
  [[nodiscard]] std::uint8_t take_isr() noexcept;
  [[nodiscard]] Window window() const noexcept;
  void move_doorbells(std::uint64_t bar_address) noexcept;

  Device& device_;
  std::mutex registers_mutex_;  // common_, against other vCPUs
  PciCommonConfig common_;
  std::mutex isr_mutex_;  // isr_ with the level of the pin
  std::uint8_t isr_ = 0;
  std::uint8_t window_capability_ = 0;
  std::uint64_t doorbells_at_ = 0;  // BAR address with doorbells attached, 0 if none
};

}  // namespace patchbay::devices::virtio
