// The common configuration structure of virtio over PCI (Virtio 1.2, 4.1.4.3): one sparse table of registers,
// each a pair of small functions on the device. Accesses of any width and alignment are cut into the
// registers they touch.
//
// Threads: read, write and reset are serialised by the transport; the vectors may be asked from any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "devices/virtio/device.h"

namespace patchbay::devices::virtio {

/// VIRTIO_MSI_NO_VECTOR.
inline constexpr std::uint16_t kNoVector = 0xFFFF;

class PciCommonConfig {
 public:
  static constexpr std::uint32_t kBytes = 60;

  /// `vectors` is the size of the function's MSI-X table. The device outlives this object.
  PciCommonConfig(Device& device, unsigned vectors);

  /// Bytes outside the registers read as zero and ignore writes.
  void read(std::uint64_t offset, std::span<std::byte> data) noexcept;
  /// True if the driver reset the device with this write.
  bool write(std::uint64_t offset, std::span<const std::byte> data) noexcept;
  /// Power-on state of everything held here; not of the device.
  void reset() noexcept;

  [[nodiscard]] std::uint16_t config_vector() const noexcept {
    return config_vector_.load(std::memory_order_acquire);
  }
  /// Precondition: queue < the device's queue count.
  [[nodiscard]] std::uint16_t queue_vector(unsigned queue) const noexcept {
    return queue_vectors_[queue].load(std::memory_order_acquire);
  }

 private:
  struct Register;
  static const std::span<const Register> kRegisters;

  template <std::uint64_t RingSetup::*Address, unsigned Shift>
  static std::uint32_t get_address(PciCommonConfig& config);
  template <std::uint64_t RingSetup::*Address, unsigned Shift>
  static void set_address(PciCommonConfig& config, std::uint32_t value);

  [[nodiscard]] std::uint16_t checked_vector(std::uint32_t value) const noexcept {
    return value < vectors_ ? static_cast<std::uint16_t>(value) : kNoVector;
  }
  [[nodiscard]] bool queue_selected() const noexcept { return queue_select_ < device_.queue_count(); }

  Device& device_;
  const unsigned vectors_;
  std::uint32_t device_feature_select_ = 0;
  std::uint32_t driver_feature_select_ = 0;
  std::uint16_t queue_select_ = 0;
  std::atomic<std::uint16_t> config_vector_{kNoVector};
  std::unique_ptr<std::atomic<std::uint16_t>[]> queue_vectors_;
};

}  // namespace patchbay::devices::virtio
