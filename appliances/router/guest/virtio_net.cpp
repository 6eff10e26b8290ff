#include "appliances/router/guest/virtio_net.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace patchbay::router::guest {
namespace {

constexpr std::uint64_t kFeatureMtu = 1ULL << 3;      // VIRTIO_NET_F_MTU
constexpr std::uint64_t kFeatureMac = 1ULL << 5;      // VIRTIO_NET_F_MAC
constexpr std::uint64_t kFeatureStatus = 1ULL << 16;  // VIRTIO_NET_F_STATUS

// struct virtio_net_config, 5.1.4.
constexpr std::size_t kConfigMac = 0;
constexpr std::size_t kConfigStatus = 6;
constexpr std::size_t kConfigMtu = 10;
constexpr std::uint16_t kLinkUp = 1;  // VIRTIO_NET_S_LINK_UP

constexpr std::uint32_t kHeadroom = BufferPool::kHeadroom;

constexpr std::uint16_t kReceiveQueue = 0;
constexpr std::uint16_t kTransmitQueue = 1;

}  // namespace

VirtioNet::VirtioNet(const PciFunction& function) noexcept : device_(function) {
  const std::uint64_t features =
      device_.negotiate(VirtioPci::kVersion1 | VirtioPci::kEventIndex | VirtioPci::kPackedRing |
                            VirtioPci::kInOrder | kFeatureMac,
                        kFeatureMtu | kFeatureStatus);
  // Two exits where six single bytes would take six.
  const auto mac_low = device_.config<std::uint32_t>(kConfigMac);
  const auto mac_high = device_.config<std::uint16_t>(kConfigMac + 4);
  std::memcpy(mac_.bytes.data(), &mac_low, sizeof mac_low);
  std::memcpy(mac_.bytes.data() + sizeof mac_low, &mac_high, sizeof mac_high);
  mtu_ = (features & kFeatureMtu) != 0 ? device_.config<std::uint16_t>(kConfigMtu) : 1500;
  reports_link_ = (features & kFeatureStatus) != 0;
}

void VirtioNet::start(InterfaceId interface, std::uint16_t ring_size, Arena& arena,
                      BufferPool& pool) noexcept {
  interface_ = interface;
  pool_ = &pool;
  const std::uint16_t receive_size = std::min(ring_size, device_.queue_size(kReceiveQueue));
  receive_ring_.emplace(arena, receive_size, PackedRing::Direction::from_device);
  receive_doorbell_ = device_.enable_queue(kReceiveQueue, *receive_ring_);
  const std::uint16_t transmit_size = std::min(ring_size, device_.queue_size(kTransmitQueue));
  transmit_ring_.emplace(arena, transmit_size, PackedRing::Direction::to_device);
  transmit_doorbell_ = device_.enable_queue(kTransmitQueue, *transmit_ring_);
  device_.driver_ok();
  flush();
}

bool VirtioNet::link_up() const noexcept {
  return !reports_link_ || (device_.config<std::uint16_t>(kConfigStatus) & kLinkUp) != 0;
}

std::size_t VirtioNet::receive(std::span<PacketBuffer*> packets) noexcept {
  std::array<PackedRing::Used, kBurstPackets> used;
  const std::size_t count = receive_ring_->collect(std::span(used).first(packets.size()));
  for (std::size_t i = 0; i < count; ++i) {
    PacketBuffer* packet = used[i].packet;
    __builtin_prefetch(packet->buffer);
    const std::uint32_t length = used[i].length;  // of header and frame
    packet->length = length > kHeadroom ? std::min(length - kHeadroom, packet->capacity) : 0;
    packet->ingress = interface_;
    packets[i] = packet;
  }
  return count;
}

std::size_t VirtioNet::transmit(std::span<PacketBuffer* const> packets) noexcept {
  const std::size_t count = std::min<std::size_t>(packets.size(), transmit_ring_->free());
  for (PacketBuffer* packet : packets.first(count)) {
    // A header of zeros asks for nothing; num_buffers is zero too on transmission (5.1.6.2.1).
    std::byte* header = packet->data() - kHeadroom;
    std::memset(header, 0, kHeadroom);
    transmit_ring_->add(packet, header, packet->length + kHeadroom);
  }
  return count;
}

void VirtioNet::flush() noexcept {
  if (transmit_ring_->publish()) transmit_doorbell_.ring();
  reclaim();
  refill();
  if (receive_ring_->publish()) receive_doorbell_.ring();
}

void VirtioNet::reclaim() noexcept {
  std::array<PackedRing::Used, kBurstPackets> sent;
  for (std::size_t count = sent.size(); count == sent.size();) {
    count = transmit_ring_->collect(sent);
    for (std::size_t i = 0; i < count; ++i)
      pool_->give(sent[i].packet);
  }
}

void VirtioNet::refill() noexcept {
  for (std::uint16_t room = receive_ring_->free(); room > 0 && !pool_->empty(); --room) {
    PacketBuffer* packet = pool_->take();
    receive_ring_->add(packet, packet->buffer - kHeadroom, packet->capacity + kHeadroom);
  }
}

}  // namespace patchbay::router::guest
