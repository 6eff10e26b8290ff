// A virtio network card (Virtio 1.2, 5.1) that is a port of the switch: the worker pulls frames straight out
// of the transmit ring and pushes frames straight into the receive ring. Bytes beyond the header copy go from
// one guest's memory to the other's in a single copy.
//
// A card may have several queue pairs (5.1.6.5.5): each transmit queue is a source of its own, so that
// workers can share the card, and frames towards the guest go to the receive queue that their flow hashes to.
// Commands of the control queue are carried out on the thread that notifies it (virtio_net_control.cpp).
//
// Threads: the data path takes the part of the device's lock that belongs to its queue, once per burst;
// registers, on vCPU threads, take the whole. Workers that push copy under a lease where the port is shared.
// A driver may reset the device between pull() and release(): the views stay readable, since guest memory
// stays mapped, and release() then does nothing.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <variant>

#include "devices/bus.h"
#include "devices/net/frame_filter.h"
#include "devices/net/frame_rules.h"
#include "devices/net/pair_source.h"
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

  // vswitch::Port; as a source it is transmitq1
  void pull(vswitch::Burst& burst) override { pull_from(0, burst); }
  void release(std::size_t consumed) override { release_to(0, consumed); }
  [[nodiscard]] int wake_fd() const noexcept override { return wake_fd(0); }
  [[nodiscard]] bool arm() override { return arm(0); }
  void disarm() override { disarm(0); }
  [[nodiscard]] std::size_t source_count() const noexcept override { return pair_count_; }
  [[nodiscard]] vswitch::Source& source(std::size_t number) noexcept override {
    return number == 0 ? static_cast<vswitch::Source&>(*this) : *lanes_[number].source;
  }
  [[nodiscard]] std::size_t push(std::span<const vswitch::FrameView* const> frames) override;
  [[nodiscard]] vswitch::OffloadSet accepts() const noexcept override {
    return accepted_offloads(accepted_.load(std::memory_order_acquire));
  }
  /// Frames in both directions are dropped as link_down while it is down; the driver sees the status change.
  void set_link(bool up) override;

  // virtio::Device
  /// Queues of frames ring their pair's descriptor; the device asks for no notification on receive queues.
  /// Queues that may be the control queue call notify().
  [[nodiscard]] int doorbell(unsigned queue) const noexcept override {
    return queue == 2 || queue + 1 == queue_count() ? -1 : wake_fd(queue / 2);
  }
  void notify(unsigned queue) noexcept override;

  [[nodiscard]] CopiedBytes copied() const noexcept;

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
  static constexpr std::uint16_t kStatusLinkUp = 1;    // VIRTIO_NET_S_LINK_UP
  static constexpr std::uint16_t kStatusAnnounce = 2;  // VIRTIO_NET_S_ANNOUNCE

  using Frames = std::span<const vswitch::FrameView* const>;
  using Part = virtio::QueueLocks::Part;
  using ControlRing = std::variant<virtio::SplitRing, virtio::PackedRing>;

  /// A queue pair with what belongs to it. Under the parts of its queues.
  struct Lane {
    QueuePair queues;
    FileDescriptor wake;                 // eventfd of the transmit queue
    std::unique_ptr<PairSource<VirtioNet>> source;  // none for the first pair
    CopyCounters copied;
    bool armed = false;
    bool pull_outstanding = false;  // a pull whose chains are still ours
  };

  friend PairSource<VirtioNet>;
  void pull_from(unsigned pair, vswitch::Burst& burst);
  void release_to(unsigned pair, std::size_t consumed);
  [[nodiscard]] int wake_fd(unsigned pair) const noexcept { return lanes_[pair].wake.get(); }
  [[nodiscard]] bool arm(unsigned pair);
  void disarm(unsigned pair);
  void wake(unsigned pair) noexcept;
  [[nodiscard]] Part& receive_part(unsigned pair) const noexcept {
    return locks().part(2 * pair + kReceiveQueue);
  }
  [[nodiscard]] Part& transmit_part(unsigned pair) const noexcept {
    return locks().part(2 * pair + kTransmitQueue);
  }
  /// 5.1.2: queue 2 unless MQ was acknowledged, then the last.
  [[nodiscard]] unsigned control_queue() const noexcept {
    return has_feature(kFeatureMultiqueue) ? queue_count() - 1 : 2;
  }
  /// Takes the whole lock: the caller has no part.
  void stop_if_broken(unsigned pair) noexcept;
  /// `held` is the part of the receive queue; given up if the device has to stop.
  [[nodiscard]] std::size_t push_to(unsigned pair, Frames frames, std::unique_lock<Part>& held) noexcept;
  /// Leaves out what the card does not take off the wire and spreads the rest over the queue pairs.
  [[nodiscard]] std::size_t push_sorted(Frames frames, std::unique_lock<Part>& held) noexcept;
  /// Puts down, for each frame, its queue pair or kFiltered.
  std::size_t sort(Frames frames, std::span<std::uint8_t> queue) const noexcept;
  void want_notifications(unsigned pair, bool wanted) noexcept;

  // virtio_net_control.cpp
  void serve_control() noexcept;
  template <typename Ring>
  void serve_control(Ring& ring) noexcept;
  /// Carries a command out; `bytes` may be more than command.size(), then the rest is missing.
  [[nodiscard]] bool execute(std::span<const std::byte> command, std::uint64_t bytes) noexcept;
  [[nodiscard]] bool set_receive_mode(std::uint8_t mode, bool on) noexcept;
  [[nodiscard]] bool set_mac_tables(std::span<const std::byte> data, std::uint64_t bytes) noexcept;
  [[nodiscard]] bool set_guest_offloads(FeatureSet offloads) noexcept;

  static constexpr std::uint8_t kFiltered = 0xFF;
  static_assert(kMaxQueuePairs < kFiltered);

  const MacAddress mac_;
  const unsigned pair_count_;
  std::unique_ptr<Lane[]> lanes_;
  // Changed under the whole lock, read under any part:
  ConfigSpace config_;
  FrameRules rules_;
  FrameFilter filter_;
  unsigned active_pairs_ = 1;
  ControlRing control_;
  // For accepts():
  std::atomic<FeatureSet> accepted_{0};  // features behind rules_.accepted
};

}  // namespace patchbay::devices::net
