// A virtio network card (Virtio 1.2, 5.1) that is a port of the switch: the worker pulls frames straight out
// of the transmit ring and pushes frames straight into the receive ring. Bytes beyond the header copy go from
// one guest's memory to the other's in a single copy.
//
// Threads: the data path (pull, release, push, arm, disarm) belongs to the port's worker, registers to vCPU
// threads; both meet on the device's mutex, once per burst. A driver may reset the device between pull() and
// release(): the views stay readable, since guest memory stays mapped, and release() then does nothing.
//
// A card may have several queue pairs (5.1.6.5.5): one worker visits their transmit queues in turn, and
// frames towards the guest go to the receive queue that their flow hashes to. Commands of the control queue
// are carried out on the thread that notifies it (virtio_net_control.cpp).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>

#include "devices/bus.h"
#include "devices/net/frame_filter.h"
#include "devices/net/frame_rules.h"
#include "devices/net/queue_pair.h"
#include "devices/virtio/device.h"
#include "vswitch/port.h"

namespace patchbay::devices::net {

struct VirtioNetConfig {
  std::array<std::uint8_t, 6> mac{};  // a station's address
  std::uint16_t mtu = 1500;           // bytes behind the Ethernet header; one VLAN tag may come on top
  std::uint16_t queue_size = 256;     // largest ring the driver may use: a power of two
  bool link_up = true;
  bool offloads = true;           // offer checksum, TCP and UDP segmentation offload, both ways
  bool packed = true;             // offer packed rings
  std::uint16_t queue_pairs = 1;  // most that the driver may use, up to kMaxQueuePairs
};

class VirtioNet final : public virtio::Device, public vswitch::Port {
 public:
  static constexpr unsigned kReceiveQueue = 0;  // receiveq1 (5.1.2)
  static constexpr unsigned kTransmitQueue = 1;
  static constexpr unsigned kMaxQueuePairs = 16;
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
    return accepted_offloads(accepted_.load(std::memory_order_acquire));
  }
  [[nodiscard]] int wake_fd() const noexcept override { return wake_.get(); }
  [[nodiscard]] bool arm() override;
  void disarm() override;
  /// Frames in both directions are dropped as link_down while it is down; the driver sees the status change.
  void set_link(bool up) override;

  // virtio::Device
  /// Queues of frames ring the worker's descriptor; the device asks for no notification on receive queues.
  /// Queues that may be the control queue call notify().
  [[nodiscard]] int doorbell(unsigned queue) const noexcept override {
    return queue == 2 || queue + 1 == queue_count() ? -1 : wake_.get();
  }
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
    MacAddress mac;
    std::uint16_t status;
    std::uint16_t max_queue_pairs;
    std::uint16_t mtu;
    std::uint32_t speed;  // Mbit/s
    std::uint8_t duplex;
    std::array<std::uint8_t, 3> end;
  };
  static_assert(sizeof(ConfigSpace) == 20);

  using Frames = std::span<const vswitch::FrameView* const>;
  using ControlRing = std::variant<virtio::SplitRing, virtio::PackedRing>;

  void wake() noexcept;
  /// 5.1.2: queue 2 unless MQ was acknowledged, then the last.
  [[nodiscard]] unsigned control_queue() const noexcept {
    return has_feature(kFeatureMultiqueue) ? queue_count() - 1 : 2;
  }
  void stop_if_broken(QueuePair& pair) noexcept;
  [[nodiscard]] std::size_t push_to(unsigned pair, Frames frames) noexcept;
  /// Leaves out what the card does not take off the wire and spreads the rest over the queue pairs.
  [[nodiscard]] std::size_t push_sorted(Frames frames) noexcept;
  void want_notifications(bool wanted) noexcept;

  // virtio_net_control.cpp
  void serve_control() noexcept;
  template <typename Ring>
  void serve_control(Ring& ring) noexcept;
  /// Carries a command out; `bytes` may be more than command.size(), then the rest is missing.
  [[nodiscard]] bool execute(std::span<const std::byte> command, std::uint64_t bytes) noexcept;
  [[nodiscard]] bool set_receive_mode(std::uint8_t mode, bool on) noexcept;
  [[nodiscard]] bool set_mac_tables(std::span<const std::byte> data, std::uint64_t bytes) noexcept;
  [[nodiscard]] bool set_guest_offloads(FeatureSet offloads) noexcept;

  const MacAddress mac_;
  FileDescriptor wake_;
  // Under the device's mutex:
  ConfigSpace config_;
  FrameRules rules_;
  FrameFilter filter_;
  const unsigned pair_count_;
  std::unique_ptr<QueuePair[]> pairs_;
  unsigned active_pairs_ = 1;
  unsigned next_pair_ = 0;    // where the next pull looks first
  unsigned pulled_pair_ = 0;  // of the pull that is outstanding
  ControlRing control_;
  bool armed_ = false;
  bool pull_outstanding_ = false;  // a pull whose chains are still ours
  // Of the worker:
  CopyCounters copied_;
  // Of both:
  std::atomic<FeatureSet> accepted_{0};  // features behind rules_.accepted, for accepts()
};

}  // namespace patchbay::devices::net
