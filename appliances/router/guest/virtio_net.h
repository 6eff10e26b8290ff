// Driver of a virtio network card (Virtio 1.2, 5.1): one receive and one transmit queue, buffers that hold
// whole frames, no offloads, and no interrupt but the one that ends a sleep.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "appliances/router/core/address.h"
#include "appliances/router/core/arena.h"
#include "appliances/router/core/packet.h"
#include "appliances/router/guest/buffer_pool.h"
#include "appliances/router/guest/packed_ring.h"
#include "appliances/router/guest/transmit_hold.h"
#include "appliances/router/guest/virtio_pci.h"

namespace patchbay::router::guest {

class VirtioNet {
 public:
  static constexpr std::uint16_t kDeviceId = 0x1041;
  /// Bytes of a frame that do not count for the MTU: Ethernet header and one VLAN tag.
  static constexpr std::size_t kFrameOverhead = 18;

  /// Negotiates features and learns what the card is.
  explicit VirtioNet(const PciFunction& function) noexcept;

  [[nodiscard]] const MacAddress& mac() const noexcept { return mac_; }
  [[nodiscard]] std::uint32_t mtu() const noexcept { return mtu_; }

  /// Makes rings of up to `ring_size` (a power of two), fills the receive ring and starts the card. `pool`
  /// outlives it and has frames of at least mtu() + kFrameOverhead bytes.
  void start(InterfaceId interface, std::uint16_t ring_size, Arena& arena, BufferPool& pool) noexcept;

  /// Carrier; a register access.
  [[nodiscard]] bool link_up() const noexcept;

  [[nodiscard]] bool frames_waiting() const noexcept { return receive_ring_->waiting(); }
  /// Takes received frames, up to packets.size(), which is at most kBurstPackets; returns how many.
  [[nodiscard]] std::size_t receive(std::span<PacketBuffer*> packets) noexcept;
  /// Queues frames for sending; returns how many from the front fitted. They go out with flush().
  [[nodiscard]] std::size_t transmit(std::span<PacketBuffer* const> packets) noexcept;
  /// True if the transmit ring is so full that received frames had better stay where they are (TransmitHold).
  [[nodiscard]] bool congested(Nanoseconds now) noexcept {
    if (transmit_ring_->free() < kBurstPackets) reclaim();
    return hold_.wanted(transmit_ring_->free(), transmit_ring_->size(), now);
  }
  /// Ends a round: takes sent buffers back, refills the receive ring, and shows the card both rings, with at
  /// most one notification each.
  void flush() noexcept;
  /// Asks for an interrupt message with the next frame. Returns true if frames wait already.
  [[nodiscard]] bool arm_receive() noexcept { return receive_ring_->enable_notification(); }
  /// Asks for an interrupt message when a full transmit ring has drained by half. Returns true if buffers came
  /// back meanwhile: look at congested() again.
  [[nodiscard]] bool arm_transmit() noexcept {
    return transmit_ring_->enable_notification(transmit_ring_->size() / 2);
  }

 private:
  void reclaim() noexcept;
  void refill() noexcept;

  VirtioPci device_;
  MacAddress mac_;
  std::uint32_t mtu_;
  bool reports_link_;
  InterfaceId interface_ = kNoInterface;
  BufferPool* pool_ = nullptr;
  std::optional<PackedRing> receive_ring_;
  std::optional<PackedRing> transmit_ring_;
  Doorbell receive_doorbell_;
  Doorbell transmit_doorbell_;
  TransmitHold hold_;
};

}  // namespace patchbay::router::guest
