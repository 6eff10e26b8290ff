// A guest's virtio-net driver (Virtio 1.2, 5.1.5 and 5.1.6) for tests, fuzz targets and benchmarks: brings a
// device up, posts receive buffers, sends and receives frames. It stands where the PCI transport would, so it
// also counts the interrupts. Buffers are fixed slots in guest memory, one a ring entry.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "devices/net/net_header.h"
#include "devices/net/virtio_net.h"
#include "devices/virtio/features.h"
#include "devices/virtio/status.h"
#include "tests/unit/devices/driver_ring.h"
#include "tests/unit/devices/guest_ram.h"

namespace patchbay::devices::testing {

class NetDriver final : public virtio::Transport {
 public:
  struct Options {
    virtio::FeatureSet features = virtio::kFeatureVersion1 | net::kFeatureMac;
    std::uint16_t ring_size = 256;
    std::uint32_t buffer_bytes = 2048;  // of each slot, header included
  };
  struct Received {
    net::NetHeader header;
    std::vector<std::byte> frame;
  };

  NetDriver(GuestRam& ram, net::VirtioNet& device, const Options& options)
      : options_(options),
        ram_(ram),
        device_(device),
        rx_(ram, options.ring_size, event_index()),
        tx_(ram, options.ring_size, event_index()),
        rx_slots_(ram.allocate(std::size_t{options.ring_size} * options.buffer_bytes, 4096)),
        tx_slots_(ram.allocate(std::size_t{options.ring_size} * options.buffer_bytes, 4096)) {
    device.connect(*this);
  }
  ~NetDriver() override { device_.disconnect(); }
  NetDriver(const NetDriver&) = delete;
  NetDriver& operator=(const NetDriver&) = delete;

  /// The initialisation sequence of 3.1.1. False if the device refused the features.
  bool start() {
    device_.write_status(virtio::kAcknowledge);
    device_.write_status(virtio::kAcknowledge | virtio::kDriver);
    device_.write_driver_features(0, static_cast<std::uint32_t>(options_.features));
    device_.write_driver_features(1, static_cast<std::uint32_t>(options_.features >> 32));
    constexpr virtio::Status features_ok = virtio::kAcknowledge | virtio::kDriver | virtio::kFeaturesOk;
    device_.write_status(features_ok);
    if ((device_.status() & virtio::kFeaturesOk) == 0) return false;
    enable(net::VirtioNet::kReceiveQueue, rx_);
    enable(net::VirtioNet::kTransmitQueue, tx_);
    device_.write_status(features_ok | virtio::kDriverOk);
    return true;
  }

  /// Posts receive buffers, as many as there are free entries, at most `count`.
  void post(std::size_t count = SIZE_MAX) {
    while (count-- > 0 && rx_.free_descriptors() > 0) {
      const auto slot = rx_posted_++ % options_.ring_size;
      const std::uint64_t address = rx_slots_ + std::uint64_t{slot} * options_.buffer_bytes;
      const auto head = rx_.add({{address, options_.buffer_bytes, true}});
      rx_address_by_head_.resize(options_.ring_size);
      rx_address_by_head_[*head] = address;
    }
    rx_.publish();
  }

  /// Queues a frame of up to buffer_bytes - 12 bytes; the device sees it after kick(). False if the ring is
  /// full.
  bool send(std::span<const std::byte> frame, const net::NetHeader& header = {}) {
    if (tx_.free_descriptors() == 0) return false;
    const auto slot = tx_sent_++ % options_.ring_size;
    const std::uint64_t address = tx_slots_ + std::uint64_t{slot} * options_.buffer_bytes;
    ram_.store(address, header);
    std::memcpy(ram_.at(address) + sizeof header, frame.data(), frame.size());
    tx_.add({{address, static_cast<std::uint32_t>(sizeof header + frame.size())}});
    return true;
  }
  /// Publishes what was queued and notifies the device if it wants that. Returns whether it did.
  bool kick() {
    if (!tx_.publish()) return false;
    device_.notify(net::VirtioNet::kTransmitQueue);
    return true;
  }
  /// Takes back transmitted buffers; returns how many.
  std::size_t reclaim() {
    std::size_t n = 0;
    while (tx_.poll())
      ++n;
    return n;
  }

  /// The next received frame, gathered from its buffers, which are not posted again.
  std::optional<Received> receive() {
    const auto first = rx_.poll();
    if (!first) return std::nullopt;
    Received result;
    const std::uint64_t address = rx_address_by_head_[first->id];
    result.header = ram_.load<net::NetHeader>(address);
    append(result.frame, address + sizeof(net::NetHeader),
           first->length - static_cast<std::uint32_t>(sizeof(net::NetHeader)));
    for (unsigned i = 1; i < result.header.buffers; ++i) {
      const auto more = rx_.poll();
      if (!more) return std::nullopt;
      append(result.frame, rx_address_by_head_[more->id], more->length);
    }
    return result;
  }

  [[nodiscard]] DriverRing& rx() noexcept { return rx_; }
  [[nodiscard]] DriverRing& tx() noexcept { return tx_; }
  [[nodiscard]] unsigned queue_interrupts(unsigned queue) const noexcept {
    return queue_interrupts_[queue].load();
  }
  [[nodiscard]] unsigned config_interrupts() const noexcept { return config_interrupts_.load(); }
  void forbid_memory_access(bool forbidden) noexcept { memory_forbidden_.store(forbidden); }

  // virtio::Transport
  void raise_queue_interrupt(unsigned queue) noexcept override { queue_interrupts_[queue].fetch_add(1); }
  void raise_config_interrupt() noexcept override { config_interrupts_.fetch_add(1); }
  [[nodiscard]] bool memory_access_allowed() const noexcept override { return !memory_forbidden_.load(); }
  [[nodiscard]] const GuestMemory& guest_memory() const noexcept override { return ram_.memory(); }

 private:
  [[nodiscard]] bool event_index() const noexcept {
    return (options_.features & virtio::kFeatureEventIndex) != 0;
  }
  void enable(unsigned queue, const DriverRing& ring) {
    device_.configure_queue(queue, [&](virtio::RingSetup& setup) { setup = ring.setup(); });
    device_.enable_queue(queue);
  }
  void append(std::vector<std::byte>& frame, std::uint64_t address, std::uint32_t bytes) const {
    frame.insert(frame.end(), ram_.at(address), ram_.at(address) + bytes);
  }

  Options options_;
  GuestRam& ram_;
  net::VirtioNet& device_;
  DriverRing rx_;
  DriverRing tx_;
  std::uint64_t rx_slots_;
  std::uint64_t tx_slots_;
  std::size_t rx_posted_ = 0;
  std::size_t tx_sent_ = 0;
  std::vector<std::uint64_t> rx_address_by_head_;
  std::atomic<unsigned> queue_interrupts_[2] = {};
  std::atomic<unsigned> config_interrupts_{0};
  std::atomic<bool> memory_forbidden_{false};
};

}  // namespace patchbay::devices::testing
