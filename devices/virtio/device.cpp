#include "devices/virtio/device.h"

#include <algorithm>

namespace patchbay::devices::virtio {

Device::Device(std::uint16_t type, FeatureSet features, unsigned queues, std::uint16_t maximum_queue_size)
    : type_(type),
      offered_(features),
      maximum_queue_size_(maximum_queue_size),
      locks_(queues),
      queues_(queues) {
  reset_locked();
}

void Device::connect(Transport& transport) noexcept {
  const std::lock_guard lock(locks_);
  transport_ = &transport;
}

void Device::disconnect() noexcept {
  reset();
  const std::lock_guard lock(locks_);
  transport_ = nullptr;
}

FeatureSet Device::driver_features() const {
  const std::lock_guard lock(locks_);
  return driver_features_;
}

void Device::write_driver_features(unsigned half, std::uint32_t bits) {
  const std::lock_guard lock(locks_);
  // 2.2.1: the driver must not change features after FEATURES_OK. There are no features beyond bit 63.
  if ((status_ & kFeaturesOk) != 0 || half > 1) return;
  const unsigned shift = 32 * half;
  driver_features_ = (driver_features_ & ~(0xFFFF'FFFFULL << shift)) | FeatureSet{bits} << shift;
}

Status Device::status() const {
  const std::lock_guard lock(locks_);
  return status_;
}

void Device::write_status(Status status) {
  const std::lock_guard lock(locks_);
  if (status == 0) {
    on_reset();
    reset_locked();
    return;
  }
  const auto from = static_cast<Status>(status_ & ~kNeedsReset);
  const auto to = static_cast<Status>(status & ~kNeedsReset);
  if (!is_legal_step(from, to)) return;
  if ((to & ~from & kFeaturesOk) != 0) {
    // 2.2.2: a device refuses by leaving FEATURES_OK clear; the driver reads back. Only 1.x drivers are
    // served.
    const bool acceptable = (driver_features_ & ~offered_) == 0 && has_feature(kFeatureVersion1) &&
                            features_acceptable(driver_features_);
    if (!acceptable) return;
  }
  status_ = static_cast<Status>((status_ & kNeedsReset) | to);
  if ((to & ~from & kDriverOk) != 0) on_driver_ok();
}

void Device::reset() {
  const std::lock_guard lock(locks_);
  on_reset();
  reset_locked();
}

void Device::reset_locked() noexcept {
  status_ = 0;
  driver_features_ = 0;
  error_ = RingError::none;
  for (Queue& queue : queues_) {
    queue = Queue{};
    queue.setup.size = maximum_queue_size_;  // 4.1.4.3.1: "MUST ... present the maximum queue size at reset"
  }
}

Device::Queue Device::queue(unsigned index) const {
  const std::lock_guard lock(locks_);
  return index < queues_.size() ? queues_[index] : Queue{};
}

void Device::enable_queue(unsigned index) {
  const std::lock_guard lock(locks_);
  if (index >= queues_.size() || !queues_may_change() || queues_[index].enabled) return;
  Queue& queue = queues_[index];
  queue.setup.event_index = has_feature(kFeatureEventIndex);
  queue.setup.in_order = has_feature(kFeatureInOrder);
  queue.setup.indirect = has_feature(kFeatureIndirectDescriptors);
  queue.setup.packed = has_feature(kFeaturePackedRing);
  const RingError error = queue.setup.size > maximum_queue_size_
                              ? RingError::bad_size
                              : start_queue(index, transport_->guest_memory(), queue.setup);
  if (error == RingError::none) {
    queue.enabled = true;
  } else {
    stop(error);
  }
}

std::uint8_t Device::config_generation() {
  const std::lock_guard lock(locks_);
  if (config_changed_) {
    config_changed_ = false;
    ++config_generation_;
  }
  return config_generation_;
}

void Device::read_config(std::uint64_t offset, std::span<std::byte> data) {
  std::fill(data.begin(), data.end(), std::byte{0});
  const std::lock_guard lock(locks_);
  const std::span<const std::byte> bytes = config_bytes();
  if (offset >= bytes.size()) return;
  const std::size_t length = std::min<std::size_t>(data.size(), bytes.size() - offset);
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), length, data.begin());
}

std::string_view Device::error() const {
  const std::lock_guard lock(locks_);
  return to_string(error_);
}

void Device::stop(RingError error) noexcept {
  if ((status_ & kNeedsReset) != 0) return;
  status_ |= kNeedsReset;
  error_ = error;
  // 2.1.2: "If DRIVER_OK is set, after it sets DEVICE_NEEDS_RESET, the device MUST send a device
  // configuration change notification to the driver."
  if ((status_ & kDriverOk) != 0) transport_->raise_config_interrupt();
}

void Device::config_changed() noexcept {
  config_changed_ = true;
  if ((status_ & kDriverOk) != 0) transport_->raise_config_interrupt();
}

}  // namespace patchbay::devices::virtio
