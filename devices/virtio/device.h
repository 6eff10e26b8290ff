// What all virtio devices have in common, whatever their type and transport (Virtio 1.2, chapters 2 and 3):
// feature negotiation, the status register, queue configuration, the configuration generation. A device type
// derives from Device and owns its rings; a transport (pci_transport.h) turns register accesses into the
// calls below.
//
// Threads: every public call takes the device's lock as a whole, so registers may be accessed from any vCPU
// thread while workers run the data path, each with the part of its queue (queue_locks.h). The hooks for the
// device type are made with the whole lock held, and the calls to the transport with at least a part, so a
// transport never sees an interrupt of a device that has been reset.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "devices/guest_memory.h"
#include "devices/virtio/features.h"
#include "devices/virtio/queue_locks.h"
#include "devices/virtio/ring.h"
#include "devices/virtio/status.h"

namespace patchbay::devices::virtio {

/// What a device needs of its transport. Any thread, several at once for different queues; called with the
/// device's lock or a part of it held, so no call may come back to the device.
class Transport {
 public:
  virtual ~Transport() = default;
  /// Used buffer notification of a queue (2.3).
  virtual void raise_queue_interrupt(unsigned queue) noexcept = 0;
  /// Configuration change notification (2.4), also for DEVICE_NEEDS_RESET.
  virtual void raise_config_interrupt() noexcept = 0;
  /// False while the bus forbids the device to touch guest memory. Asked once per burst.
  [[nodiscard]] virtual bool memory_access_allowed() const noexcept = 0;
  /// The guest's memory; the same object for the life of the transport. Asked when a queue starts.
  [[nodiscard]] virtual const GuestMemory& guest_memory() const noexcept = 0;
};

class Device {
 public:
  struct Queue {
    RingSetup setup;  // setup.size is the driver's choice
    bool enabled = false;
  };

  /// `type` is the device id of chapter 5; `features` what is offered, VERSION_1 included.
  /// Precondition: maximum_queue_size is a power of two.
  Device(std::uint16_t type, FeatureSet features, unsigned queues, std::uint16_t maximum_queue_size);
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  /// Plugs the device into its transport, before the guest runs. The transport stays until disconnect().
  void connect(Transport& transport) noexcept;
  /// The transport goes away: the device resets, and from the return on touches no guest memory.
  void disconnect() noexcept;

  [[nodiscard]] std::uint16_t type() const noexcept { return type_; }
  [[nodiscard]] unsigned queue_count() const noexcept { return static_cast<unsigned>(queues_.size()); }
  [[nodiscard]] FeatureSet offered_features() const noexcept { return offered_; }
  /// What the driver acknowledged; final once FEATURES_OK is set.
  [[nodiscard]] FeatureSet driver_features() const;
  /// Bits [32 * half, 32 * half + 32) of the driver's features. Ignored once FEATURES_OK is set.
  void write_driver_features(unsigned half, std::uint32_t bits);

  [[nodiscard]] Status status() const;
  /// A driver's write: 0 resets, an illegal step changes nothing (status.h).
  void write_status(Status status);
  /// Back to the state of power-on.
  void reset();

  /// A copy of a queue's registers; a queue that does not exist has size 0.
  [[nodiscard]] Queue queue(unsigned index) const;
  /// Changes a queue's registers through `change(Queue&)`, where the driver may do so: between FEATURES_OK
  /// and DRIVER_OK, before the queue is enabled (4.1.4.3.2). Elsewhere nothing happens.
  template <typename Change>
  void configure_queue(unsigned index, Change change) {
    const std::lock_guard lock(locks_);
    if (index < queues_.size() && queues_may_change() && !queues_[index].enabled)
      change(queues_[index].setup);
  }
  /// Starts a queue with the addresses configured; a queue that cannot work sets NEEDS_RESET.
  void enable_queue(unsigned index);

  /// Moves at the first read after a change of the configuration (2.5.3: "MUST change if ...").
  [[nodiscard]] std::uint8_t config_generation();
  /// Device-specific configuration (2.5). Bytes past its end read as zero and ignore writes. Readable before
  /// FEATURES_OK.
  void read_config(std::uint64_t offset, std::span<std::byte> data);

  /// The descriptor that announces new chains in a queue, or -1: then notify() is called instead. Constant.
  [[nodiscard]] virtual int doorbell(unsigned queue) const noexcept = 0;
  /// The driver notified a queue by a register write that did not go to its doorbell. Any index may come.
  virtual void notify(unsigned queue) noexcept = 0;

  /// Why NEEDS_RESET is set; "no error" otherwise.
  [[nodiscard]] std::string_view error() const;

 protected:
  // --- hooks of the device type; the lock is held ----------------------------------------------------------
  [[nodiscard]] virtual bool features_acceptable(FeatureSet) const noexcept { return true; }
  [[nodiscard]] virtual RingError start_queue(unsigned index, const GuestMemory& memory,
                                              const RingSetup& setup) noexcept = 0;
  /// DRIVER_OK: the device is live.
  virtual void on_driver_ok() noexcept = 0;
  /// The rings are the driver's no more.
  virtual void on_reset() noexcept = 0;
  [[nodiscard]] virtual std::span<const std::byte> config_bytes() const noexcept = 0;

  // --- for the device type; call with the lock held, or a part of it to look and to interrupt
  // ---------------
  [[nodiscard]] QueueLocks& locks() const noexcept { return locks_; }
  /// The driver is up: DRIVER_OK, no error.
  [[nodiscard]] bool running() const noexcept {
    return (status_ & (kDriverOk | kNeedsReset | kFailed)) == kDriverOk;
  }
  /// Running, and the bus lets us at guest memory.
  [[nodiscard]] bool live() const noexcept { return running() && transport_->memory_access_allowed(); }
  [[nodiscard]] FeatureSet features() const noexcept { return driver_features_; }
  [[nodiscard]] bool has_feature(FeatureSet feature) const noexcept {
    return (driver_features_ & feature) != 0;
  }
  /// Sets NEEDS_RESET (2.1.2) and tells the driver. The whole lock is held.
  void stop(RingError error) noexcept;
  /// config_bytes() changed: tells the driver.
  void config_changed() noexcept;
  /// Precondition: running().
  void raise_queue_interrupt(unsigned queue) noexcept { transport_->raise_queue_interrupt(queue); }

 private:
  [[nodiscard]] bool queues_may_change() const noexcept {
    return (status_ & (kFeaturesOk | kDriverOk | kNeedsReset | kFailed)) == kFeaturesOk;
  }
  void reset_locked() noexcept;

  const std::uint16_t type_;
  const FeatureSet offered_;
  const std::uint16_t maximum_queue_size_;
  Transport* transport_ = nullptr;

  mutable QueueLocks locks_;  // a part for each queue
  Status status_ = 0;
  FeatureSet driver_features_ = 0;
  RingError error_ = RingError::none;
  std::uint8_t config_generation_ = 0;
  bool config_changed_ = false;
  std::vector<Queue> queues_;
};

}  // namespace patchbay::devices::virtio
