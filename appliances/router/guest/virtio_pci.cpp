#include "appliances/router/guest/virtio_pci.h"

#include "appliances/router/guest/cpu.h"
#include "appliances/router/guest/panic.h"

namespace patchbay::router::guest {
namespace {

// Vendor-specific capabilities, 4.1.4: offsets and types.
constexpr std::uint8_t kVendorSpecific = 0x09;
constexpr unsigned kCapabilityType = 3;
constexpr unsigned kCapabilityBar = 4;
constexpr unsigned kCapabilityOffset = 8;
constexpr unsigned kCapabilityMultiplier = 16;
constexpr std::uint8_t kCommonType = 1;
constexpr std::uint8_t kNotifyType = 2;
constexpr std::uint8_t kDeviceType = 4;

// Device status, 2.1.
constexpr std::uint8_t kAcknowledge = 1;
constexpr std::uint8_t kDriver = 2;
constexpr std::uint8_t kDriverOk = 4;
constexpr std::uint8_t kFeaturesOk = 8;

constexpr std::uint16_t kVector = 0;

}  // namespace

VirtioPci::VirtioPci(const PciFunction& function) noexcept {
  for (unsigned at = function.next_capability(kVendorSpecific); at != 0;
       at = function.next_capability(kVendorSpecific, at)) {
    const std::uintptr_t base = function.bar(function.read8(at + kCapabilityBar));
    if (base == 0) continue;
    const std::uintptr_t address = base + function.read32(at + kCapabilityOffset);
    switch (function.read8(at + kCapabilityType)) {  // the first of each type counts
      case kCommonType:
        if (common_ == nullptr) common_ = reinterpret_cast<volatile CommonConfig*>(address);
        break;
      case kNotifyType:
        if (notify_ == 0) {
          notify_ = address;
          notify_multiplier_ = function.read32(at + kCapabilityMultiplier);
        }
        break;
      case kDeviceType:
        if (config_ == 0) config_ = address;
        break;
      default:
        break;
    }
  }
  if (common_ == nullptr || notify_ == 0 || config_ == 0) panic("a virtio device lacks a register block");

  function.enable();
  if (!function.enable_msix()) panic("a virtio device lacks MSI-X");
  if (common_->device_status != 0) {  // left over from an earlier driver
    common_->device_status = 0;
    while (common_->device_status != 0)
      pause();
  }
  set_status(kAcknowledge);
  set_status(kDriver);
}

void VirtioPci::set_status(std::uint8_t bits) noexcept {
  status_ |= bits;
  common_->device_status = status_;
}

std::uint64_t VirtioPci::negotiate(std::uint64_t required, std::uint64_t optional) noexcept {
  common_->device_feature_select = 0;
  std::uint64_t offered = common_->device_feature;
  common_->device_feature_select = 1;
  offered |= std::uint64_t{common_->device_feature} << 32;
  if ((offered & required) != required) panic("a virtio device lacks a feature that the router needs");

  const std::uint64_t accepted = offered & (required | optional);
  common_->driver_feature_select = 0;
  common_->driver_feature = static_cast<std::uint32_t>(accepted);
  common_->driver_feature_select = 1;
  common_->driver_feature = static_cast<std::uint32_t>(accepted >> 32);
  set_status(kFeaturesOk);
  if ((common_->device_status & kFeaturesOk) == 0) panic("a virtio device refused its own features");

  common_->config_msix_vector = kVector;
  return accepted;
}

std::uint16_t VirtioPci::queue_size(std::uint16_t index) noexcept {
  common_->queue_select = index;
  proposed_size_ = common_->queue_size;
  return proposed_size_;
}

Doorbell VirtioPci::enable_queue(std::uint16_t index, const PackedRing& ring) noexcept {
  const auto low = [](const void* address) {
    return static_cast<std::uint32_t>(
        reinterpret_cast<std::uintptr_t>(address));  // all of RAM is below 4 GiB
  };
  if (ring.size() != proposed_size_) common_->queue_size = ring.size();
  common_->queue_msix_vector = kVector;
  common_->queue_desc[0] = low(ring.descriptor_area());
  common_->queue_desc[1] = 0;
  common_->queue_driver[0] = low(ring.driver_area());
  common_->queue_driver[1] = 0;
  common_->queue_device[0] = low(ring.device_area());
  common_->queue_device[1] = 0;
  const std::uint16_t offset = common_->queue_notify_off;
  common_->queue_enable = 1;
  return {notify_ + std::uintptr_t{offset} * notify_multiplier_, index};
}

void VirtioPci::driver_ok() noexcept {
  set_status(kDriverOk);
}

}  // namespace patchbay::router::guest
