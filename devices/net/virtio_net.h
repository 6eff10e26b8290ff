// A virtio network card (Virtio 1.2, 5.1) that is a port of the switch: the worker pulls frames straight out
// of the transmit ring and pushes frames straight into the receive ring. Bytes beyond the header copy go from
// one guest's memory to the other's in a single copy.
//
// Threads: the data path (pull, release, push, arm, disarm) belongs to the port's worker, registers to vCPU
// threads; both meet on the device's mutex, once per burst. A driver may reset the device between pull() and
// release(): the views stay readable, since guest memory stays mapped, and release() then does nothing.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "devices/bus.h"
#include "devices/net/frame_rules.h"
#include "devices/net/receive_queue.h"
#include "devices/net/transmit_queue.h"
#include "devices/virtio/device.h"
#include "devices/virtio/split_ring.h"
#include "vswitch/port.h"

namespace patchbay::devices::net {

struct VirtioNetConfig {
  std::array<std::uint8_t, 6> mac{};  // a station's address
  std::uint16_t mtu = 1500;           // bytes behind the Ethernet header; one VLAN tag may come on top
  std::uint16_t queue_size = 256;     // largest ring the driver may use: a power of two
  bool link_up = true;
  bool offloads = false;  // offer checksum and TCP segmentation offload, both ways
};

class VirtioNet final : public virtio::Device, public vswitch::Port {
 public:
  static constexpr unsigned kReceiveQueue = 0;  // receiveq1 (5.1.2)
  static constexpr unsigned kTransmitQueue = 1;
  static constexpr std::uint16_t kDeviceType = 1;
  static constexpr std::uint32_t kPciClass = 0x020000;  // for virtio::PciTransport

  /// Throws std::runtime_error on a configuration that makes no sense, std::system_error without a descriptor
  /// left.
  VirtioNet(std::string name, const VirtioNetConfig& config);

  // vswitch::Port
  void pull(vswitch::Burst& burst) override;
  void release(std::size_t consumed) override;
  [[nodiscard]] std::size_t push(std::span<const vswitch::FrameView* const> frames) override;
  [[nodiscard]] vswitch::OffloadSet accepts() const noexcept override {
    return accepted_offloads(acknowledged_.load(std::memory_order_acquire));
  }
  [[nodiscard]] int wake_fd() const noexcept override { return wake_.get(); }
  [[nodiscard]] bool arm() override;
  void disarm() override;
  /// Frames in both directions are dropped as link_down while it is down; the driver sees the status change.
  void set_link(bool up) override;

  // virtio::Device
  /// Both queues ring the worker's descriptor; the device asks for no notification on the receive queue.
  [[nodiscard]] int doorbell(unsigned) const noexcept override { return wake_.get(); }
  void notify(unsigned queue) noexcept override;

  [[nodiscard]] const CopyCounters& copied() const noexcept { return copied_; }

 private:
  // virtio::Device
  [[nodiscard]] bool features_acceptable(FeatureSet features) const noexcept override {
    return dependencies_met(features);
  }
  [[nodiscard]] virtio::RingError start_queue(unsigned index, const GuestMemory& memory,
                                              const virtio::RingSetup& setup) noexcept override;
  void on_driver_ok() noexcept override;
  void on_reset() noexcept override;
  [[nodiscard]] std::span<const std::byte> config_bytes() const noexcept override {
    return std::as_bytes(std::span(&config_, 1));
  }

  /// struct virtio_net_config (5.1.4), as far as features offered here give it meaning.
  struct ConfigSpace {
    std::array<std::uint8_t, 6> mac;
    std::uint16_t status;
    std::uint16_t max_queue_pairs;
    std::uint16_t mtu;
  };
  static_assert(sizeof(ConfigSpace) == 12);

  void wake() noexcept;

  FileDescriptor wake_;
  // Under the device's mutex:
  ConfigSpace config_;
  FrameRules rules_;
  ReceiveQueue<virtio::SplitRing> receive_;
  TransmitQueue<virtio::SplitRing> transmit_;
  bool armed_ = false;
  bool pull_outstanding_ = false;  // a pull whose chains are still ours
  // Of the worker:
  CopyCounters copied_;
  // Of both:
  std::atomic<FeatureSet> acknowledged_{0};  // as in rules_, for accepts()
};

}  // namespace patchbay::devices::net
