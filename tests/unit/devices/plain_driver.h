// A guest's driver for devices that are no ports of the switch: brings a device up and offers its rings. It
// stands where the PCI transport would, so it also counts the interrupts. The device works on threads of its
// own: wait for what it does with wait_used().
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <optional>
#include <thread>

#include "devices/virtio/device.h"
#include "devices/virtio/features.h"
#include "devices/virtio/status.h"
#include "tests/unit/devices/driver_ring.h"
#include "tests/unit/devices/guest_ram.h"

namespace patchbay::devices::testing {

class PlainDriver final : public virtio::Transport {
 public:
  PlainDriver(GuestRam& ram, virtio::Device& device, std::uint16_t ring_size = 64)
      : ram_(ram), device_(device) {
    for (unsigned queue = 0; queue < device.queue_count(); ++queue)
      rings_.emplace_back(ram, ring_size);
    device.connect(*this);
  }
  ~PlainDriver() override { device_.disconnect(); }
  PlainDriver(const PlainDriver&) = delete;
  PlainDriver& operator=(const PlainDriver&) = delete;

  /// The initialisation sequence of 3.1.1 with all offered features but `refused`. False if the device said
  /// no.
  bool start(virtio::FeatureSet refused = virtio::kFeatureEventIndex) {
    using namespace virtio;
    const FeatureSet features = device_.offered_features() & ~refused;
    device_.write_status(kAcknowledge);
    device_.write_status(kAcknowledge | kDriver);
    device_.write_driver_features(0, static_cast<std::uint32_t>(features));
    device_.write_driver_features(1, static_cast<std::uint32_t>(features >> 32));
    device_.write_status(kAcknowledge | kDriver | kFeaturesOk);
    if ((device_.status() & kFeaturesOk) == 0) return false;
    for (unsigned queue = 0; queue < device_.queue_count(); ++queue) {
      device_.configure_queue(queue, [&](RingSetup& setup) { setup = rings_[queue].setup(); });
      device_.enable_queue(queue);
    }
    device_.write_status(kAcknowledge | kDriver | kFeaturesOk | kDriverOk);
    return true;
  }

  [[nodiscard]] DriverRing& ring(unsigned queue) { return rings_[queue]; }
  void kick(unsigned queue) {
    rings_[queue].publish();
    device_.notify(queue);
  }
  /// The next used chain; nothing after five seconds.
  std::optional<DriverRing::Used> wait_used(unsigned queue) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    for (;;) {
      if (const auto used = rings_[queue].poll()) return used;
      if (std::chrono::steady_clock::now() > deadline) return std::nullopt;
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }
  [[nodiscard]] bool needs_reset() const { return (device_.status() & virtio::kNeedsReset) != 0; }
  [[nodiscard]] bool becomes_broken() const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (!needs_reset() && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    return needs_reset();
  }
  [[nodiscard]] unsigned queue_interrupts() const noexcept { return interrupts_.load(); }

  // virtio::Transport
  void raise_queue_interrupt(unsigned) noexcept override { interrupts_.fetch_add(1); }
  void raise_config_interrupt() noexcept override {}
  [[nodiscard]] bool memory_access_allowed() const noexcept override { return true; }
  [[nodiscard]] const GuestMemory& guest_memory() const noexcept override { return ram_.memory(); }

 private:
  GuestRam& ram_;
  virtio::Device& device_;
  std::deque<DriverRing> rings_;
  std::atomic<unsigned> interrupts_{0};
};

}  // namespace patchbay::devices::testing
