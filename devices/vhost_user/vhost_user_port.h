// A port of the switch whose rings lie in the memory of another program: a VM of another hypervisor or a DPDK
// application that speaks vhost-user. The rings and queues are those of the in-process virtio-net device, so
// frames take the same single-copy path; only who sets them up differs (session.h).
//
// Threads: everything under "control" belongs to one control thread. It meets the workers of the data path on
// the port's lock, of which those take the part of their queue once per burst. From pull to release, and
// while a push copies, a queue is on lease: control calls wait, some microseconds, until the worker is
// through.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "devices/bus.h"
#include "devices/net/frame_rules.h"
#include "devices/net/pair_source.h"
#include "devices/net/queue_pair.h"
#include "devices/vhost_user/peer_memory.h"
#include "devices/virtio/queue_locks.h"
#include "vswitch/port.h"

namespace patchbay::devices::vhost_user {

/// Throws std::runtime_error unless `fd` is an eventfd or none, and makes it non-blocking: a pipe or a socket
/// in its place could make us wait for the peer.
void require_eventfd(const FileDescriptor& fd);

struct VhostUserConfig {
  std::uint16_t mtu = 1500;  // bytes behind the Ethernet header; one VLAN tag may come on top
  unsigned queue_pairs = 1;  // most that the peer may use, up to 128
  bool offloads = false;     // offer checksum and TCP segmentation offload, both ways
  bool packed = true;        // offer packed rings
  bool link_up = true;
};

class VhostUserPort final : public vswitch::Port {
 public:
  /// Throws std::runtime_error on a configuration that makes no sense, std::system_error without a descriptor
  /// left.
  VhostUserPort(std::string name, const VhostUserConfig& config);

  // vswitch::Port; as a source it is the first transmit ring
  void pull(vswitch::Burst& burst) override { pull_from(0, burst); }
  void release(std::size_t consumed) override { release_to(0, consumed); }
  [[nodiscard]] int wake_fd() const noexcept override { return wake_fd(0); }
  [[nodiscard]] bool arm() override { return arm(0); }
  void disarm() override { disarm(0); }
  [[nodiscard]] std::size_t source_count() const noexcept override { return pairs_.size(); }
  [[nodiscard]] vswitch::Source& source(std::size_t number) noexcept override {
    return number == 0 ? static_cast<vswitch::Source&>(*this) : *pairs_[number]->source;
  }
  [[nodiscard]] std::size_t push(std::span<const vswitch::FrameView* const> frames) override;
  [[nodiscard]] vswitch::OffloadSet accepts() const noexcept override;
  /// Frames in both directions are dropped as link_down while it is down. The protocol has no way to tell the
  /// guest.
  void set_link(bool up) override;

  [[nodiscard]] net::CopiedBytes copied() const noexcept;

  // --- control ---------------------------------------------------------------------------------------------
  // Rings are numbered as on the socket: receive ring of pair n 2n, transmit ring 2n + 1 (5.1.2).

  [[nodiscard]] unsigned ring_count() const noexcept { return static_cast<unsigned>(2 * pairs_.size()); }
  [[nodiscard]] virtio::FeatureSet offered_features() const noexcept { return offered_; }
  [[nodiscard]] std::uint16_t mtu() const noexcept { return mtu_; }

  /// Precondition of both: no ring is started.
  void set_features(virtio::FeatureSet features);
  void set_memory(std::shared_ptr<const PeerMemory> memory);

  /// Starts a stopped ring in the current memory; `setup` has guest physical addresses.
  [[nodiscard]] virtio::RingError start(unsigned ring, const virtio::RingSetup& setup);
  /// Stops a ring and returns the position (virtio::RingSetup::next_avail) of the first chain that was not
  /// taken: a later start resumes there. Precondition: it is started.
  std::uint16_t stop(unsigned ring);
  /// A ring that is started but not enabled moves no frames.
  void set_enabled(unsigned ring, bool enabled);
  /// Where the peer announces chains, and where it wants to hear of used ones: eventfds, or none. Throws
  /// std::runtime_error for other descriptors: writing to those could block.
  void set_kick(unsigned ring, FileDescriptor fd);
  void set_call(unsigned ring, FileDescriptor fd);
  /// Stops everything and forgets the peer.
  void disconnect();

  /// Readable when the worker has found a ring broken or memory gone; take_error() tells, once.
  [[nodiscard]] int attention_fd() const noexcept { return attention_.get(); }
  struct Error {
    unsigned ring = 0;
    virtio::RingError reason = virtio::RingError::none;
    bool memory_lost = false;
  };
  [[nodiscard]] Error take_error();

  struct RingState {
    std::uint16_t size = 0;  // 0: stopped
    bool enabled = false;
    virtio::RingError error = virtio::RingError::none;
  };
  [[nodiscard]] RingState ring_state(unsigned ring) const;
  [[nodiscard]] std::uint64_t memory_bytes() const;

 private:
  using Frames = std::span<const vswitch::FrameView* const>;
  using Part = virtio::QueueLocks::Part;

  /// Changed under the whole lock, used under the part of the ring.
  struct QueuePair {
    net::QueuePair queues;
    FileDescriptor wake;     // epoll: restart and the kick of the transmit ring, edge-triggered
    FileDescriptor restart;  // eventfd: a ring started
    std::unique_ptr<net::PairSource<VhostUserPort>> source;  // none for the first pair
    std::array<FileDescriptor, 2> kick;  // receive, transmit
    std::array<FileDescriptor, 2> call;
    std::array<bool, 2> enabled{};
    // Under the transmit part:
    bool armed = false;
    bool pull_outstanding = false;
    net::CopyCounters copied;

    [[nodiscard]] bool can_receive() const noexcept {
      return enabled[0] && queues.visit([](const auto& of) {
        return of.receive.ring().enabled() && of.receive.error() == virtio::RingError::none;
      });
    }
    [[nodiscard]] bool can_transmit() const noexcept {
      return enabled[1] && queues.visit([](const auto& of) {
        return of.transmit.ring().enabled() && of.transmit.ring().error() == virtio::RingError::none;
      });
    }
  };

  friend net::PairSource<VhostUserPort>;
  void pull_from(std::size_t pair, vswitch::Burst& burst);
  void release_to(std::size_t pair, std::size_t consumed);
  [[nodiscard]] int wake_fd(std::size_t pair) const noexcept { return pairs_[pair]->wake.get(); }
  [[nodiscard]] bool arm(std::size_t pair);
  void disarm(std::size_t pair);
  [[nodiscard]] Part& receive_part(std::size_t pair) const noexcept { return locks_.part(2 * pair); }
  [[nodiscard]] Part& transmit_part(std::size_t pair) const noexcept { return locks_.part(2 * pair + 1); }

  [[nodiscard]] RingState ring_state_locked(unsigned index) const noexcept;
  std::uint16_t stop_locked(unsigned index) noexcept;
  void replace_kick(unsigned index, FileDescriptor fd);
  void find_receivers() noexcept;
  /// `held` is the part of the receive ring.
  [[nodiscard]] std::size_t push_to(std::size_t pair, Frames frames, bool& interrupt,
                                    std::unique_lock<Part>& held) noexcept;
  [[nodiscard]] std::size_t push_steered(Frames frames) noexcept;
  void report() noexcept;

  const virtio::FeatureSet offered_;
  const std::uint16_t mtu_;
  FileDescriptor attention_;  // eventfd

  mutable virtio::QueueLocks locks_;  // a part for each ring
  std::vector<std::unique_ptr<QueuePair>> pairs_;
  // Changed under the whole lock, read under any part:
  net::FrameRules rules_;
  std::shared_ptr<const PeerMemory> memory_;
  std::vector<std::uint16_t> receivers_;  // pairs that can receive, for steering
  // Of all:
  std::atomic<bool> reported_{false};                // attention_ was raised and not yet answered
  std::atomic<virtio::FeatureSet> acknowledged_{0};  // as in rules_, for accepts()
};

}  // namespace patchbay::devices::vhost_user
