// A virtio device behind the PCI transport (Virtio 1.2, 4.1), modern interface only. Every access to its
// registers is an exit, so each is made once and in the order of 3.1.1.
#pragma once

#include <cstddef>
#include <cstdint>

#include "appliances/router/guest/pci.h"
#include "appliances/router/guest/packed_ring.h"

namespace patchbay::router::guest {

/// Where to tell the device about new buffers in one of its queues.
class Doorbell {
 public:
  Doorbell() = default;
  Doorbell(std::uintptr_t address, std::uint16_t queue) noexcept : address_(address), queue_(queue) {}
  void ring() const noexcept { *reinterpret_cast<volatile std::uint16_t*>(address_) = queue_; }

 private:
  std::uintptr_t address_ = 0;
  std::uint16_t queue_ = 0;
};

class VirtioPci {
 public:
  static constexpr std::uint16_t kVendor = 0x1AF4;
  static constexpr std::uint64_t kEventIndex = 1ULL << 29;  // VIRTIO_F_EVENT_IDX
  static constexpr std::uint64_t kVersion1 = 1ULL << 32;    // VIRTIO_F_VERSION_1
  static constexpr std::uint64_t kPackedRing = 1ULL << 34;  // VIRTIO_F_RING_PACKED
  static constexpr std::uint64_t kInOrder = 1ULL << 35;     // VIRTIO_F_IN_ORDER

  /// Finds the register blocks, enables the function and its only interrupt vector, and brings the device to
  /// DRIVER. What it lacks is a reason to panic: the VMM and this guest belong together.
  explicit VirtioPci(const PciFunction& function) noexcept;

  /// Agrees on those of `required | optional` that the device offers, `required` at least; up to FEATURES_OK.
  /// Returns what was agreed on.
  [[nodiscard]] std::uint64_t negotiate(std::uint64_t required, std::uint64_t optional) noexcept;

  /// Size of queue `index` that the device proposes, the largest it can. Selects the queue.
  [[nodiscard]] std::uint16_t queue_size(std::uint16_t index) noexcept;
  /// Gives queue `index`, selected by queue_size(), its memory and enables it.
  [[nodiscard]] Doorbell enable_queue(std::uint16_t index, const PackedRing& ring) noexcept;
  void driver_ok() noexcept;

  /// A field of the device's own configuration.
  template <typename T>
  [[nodiscard]] T config(std::size_t offset) const noexcept {
    return *reinterpret_cast<const volatile T*>(config_ + offset);
  }

 private:
  struct CommonConfig {  // struct virtio_pci_common_cfg, 4.1.4.3
    std::uint32_t device_feature_select;
    std::uint32_t device_feature;
    std::uint32_t driver_feature_select;
    std::uint32_t driver_feature;
    std::uint16_t config_msix_vector;
    std::uint16_t num_queues;
    std::uint8_t device_status;
    std::uint8_t config_generation;
    std::uint16_t queue_select;
    std::uint16_t queue_size;
    std::uint16_t queue_msix_vector;
    std::uint16_t queue_enable;
    std::uint16_t queue_notify_off;
    std::uint32_t queue_desc[2];
    std::uint32_t queue_driver[2];
    std::uint32_t queue_device[2];
  };
  static_assert(sizeof(CommonConfig) == 56);

  void set_status(std::uint8_t bits) noexcept;

  volatile CommonConfig* common_ = nullptr;
  std::uintptr_t notify_ = 0;
  std::uint32_t notify_multiplier_ = 0;
  std::uintptr_t config_ = 0;
  std::uint8_t status_ = 0;
  std::uint16_t proposed_size_ = 0;
};

}  // namespace patchbay::router::guest
