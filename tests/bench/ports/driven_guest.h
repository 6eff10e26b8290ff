// A guest for the benchmark of the switch: an in-process virtio-net card on split or packed rings, and a
// driver that sends and receives in place, without touching payload, as a forwarding guest does. Rings are
// polled: no interrupt is raised.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include "devices/net/net_header.h"
#include "devices/net/virtio_net.h"
#include "devices/virtio/features.h"
#include "devices/virtio/status.h"
#include "tests/unit/devices/driver_ring.h"
#include "tests/unit/devices/guest_ram.h"
#include "tests/unit/devices/packed_driver_ring.h"
#include "vswitch/port.h"

namespace patchbay::bench {

class Guest {
 public:
  virtual ~Guest() = default;
  [[nodiscard]] virtual vswitch::Port& port() noexcept = 0;
  /// Makes `count` frames available that go to guest `destination`, then to the one after it, and so on:
  /// `destinations` guests of `guests` in turn, itself left out.
  virtual void send(std::size_t count, std::size_t destination, std::size_t destinations,
                    std::size_t guests) = 0;
  /// Takes received frames and sent buffers back, and posts all receive buffers again. Returns the frames.
  virtual std::size_t reclaim() = 0;
};

template <typename Ring>
class DrivenGuest final : public Guest, public devices::virtio::Transport {
 public:
  static constexpr std::uint16_t kRingSize = 256;  // what the cards of a lab offer
  static constexpr std::uint32_t kBufferBytes = 2048;
  static constexpr std::uint32_t kFrameBytes = 60;  // 64 with FCS

  explicit DrivenGuest(std::size_t number)
      : number_(number),
        card_("g" + std::to_string(number) + ":eth0", config(number)),
        rx_(ram_, kRingSize),
        tx_(ram_, kRingSize),
        rx_buffers_(ram_.allocate(std::size_t{kRingSize} * kBufferBytes, 4096)),
        tx_buffers_(ram_.allocate(std::size_t{kRingSize} * kBufferBytes, 4096)) {
    card_.connect(*this);
    start();
    rx_.disable_interrupts();
    tx_.disable_interrupts();
    reclaim();
  }
  ~DrivenGuest() override { card_.disconnect(); }
  DrivenGuest(const DrivenGuest&) = delete;
  DrivenGuest& operator=(const DrivenGuest&) = delete;

  [[nodiscard]] vswitch::Port& port() noexcept override { return card_; }

  void send(std::size_t count, std::size_t destination, std::size_t destinations,
            std::size_t guests) override {
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t at = tx_buffers_ + std::uint64_t{sent_++ % kRingSize} * kBufferBytes;
      // In a forwarding guest the frame lies there; only addresses are new.
      std::byte* const frame = ram_.at(at) + sizeof(devices::net::NetHeader);
      ram_.store(at, devices::net::NetHeader{});
      const std::size_t to = (destination + turn_++ % destinations) % guests;
      const auto addresses = header(to, number_);
      std::memcpy(frame, addresses.data(), addresses.size());
      tx_.add({{at, static_cast<std::uint32_t>(sizeof(devices::net::NetHeader)) + kFrameBytes}});
    }
    publish(tx_);
  }

  std::size_t reclaim() override {
    while (tx_.poll()) {
    }
    std::size_t received = 0;
    while (rx_.poll())
      ++received;
    while (rx_.free_descriptors() > 0) {
      rx_.add({{rx_buffers_ + std::uint64_t{posted_++ % kRingSize} * kBufferBytes, kBufferBytes, true}});
    }
    publish(rx_);
    return received;
  }

  // virtio::Transport
  void raise_queue_interrupt(unsigned) noexcept override {}
  void raise_config_interrupt() noexcept override {}
  [[nodiscard]] bool memory_access_allowed() const noexcept override { return true; }
  [[nodiscard]] const devices::GuestMemory& guest_memory() const noexcept override { return ram_.memory(); }

 private:
  static constexpr bool kPacked = std::is_same_v<Ring, devices::testing::PackedDriverRing>;

  static std::array<std::uint8_t, 6> mac(std::size_t number) {
    return {0x02, 0, 0, 0, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)};
  }
  static std::array<std::uint8_t, 14> header(std::size_t to, std::size_t from) {
    std::array<std::uint8_t, 14> bytes{};
    const auto destination = mac(to);
    const auto source = mac(from);
    std::memcpy(&bytes[0], destination.data(), 6);
    std::memcpy(&bytes[6], source.data(), 6);
    bytes[12] = 0x88;  // an experimental EtherType (IEEE 802)
    bytes[13] = 0xb5;
    return bytes;
  }
  static devices::net::VirtioNetConfig config(std::size_t number) {
    devices::net::VirtioNetConfig config;
    config.mac = mac(number);
    config.queue_size = kRingSize;
    return config;
  }
  static void publish(Ring& ring) {
    if constexpr (!kPacked)
      static_cast<void>(ring.publish());  // chains of packed rings are available at once
  }

  void start() {
    using namespace devices::virtio;
    const FeatureSet features = kFeatureVersion1 | (kPacked ? kFeaturePackedRing : FeatureSet{0});
    card_.write_status(kAcknowledge);
    card_.write_status(kAcknowledge | kDriver);
    card_.write_driver_features(0, static_cast<std::uint32_t>(features));
    card_.write_driver_features(1, static_cast<std::uint32_t>(features >> 32));
    constexpr Status ready = kAcknowledge | kDriver | kFeaturesOk;
    card_.write_status(ready);
    Ring* const rings[] = {&rx_, &tx_};
    for (unsigned queue = 0; queue < 2; ++queue) {
      card_.configure_queue(queue, [&](RingSetup& setup) { setup = rings[queue]->setup(); });
      card_.enable_queue(queue);
    }
    card_.write_status(ready | kDriverOk);
  }

  const std::size_t number_;
  devices::testing::GuestRam ram_{2 << 20};
  devices::net::VirtioNet card_;
  Ring rx_;
  Ring tx_;
  std::uint64_t rx_buffers_;
  std::uint64_t tx_buffers_;
  std::size_t posted_ = 0;
  std::size_t sent_ = 0;
  std::size_t turn_ = 0;
};

}  // namespace patchbay::bench
