// The header in front of every virtio-net frame (struct virtio_net_hdr, Virtio 1.2, 5.1.6) and the features
// that give its fields meaning. Knows no rings.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "devices/virtio/features.h"
#include "vswitch/frame.h"
#include "vswitch/offload_set.h"

namespace patchbay::devices::net {

using virtio::FeatureSet;

// 5.1.3: "guest" is what the driver can receive, "host" what it may send.
inline constexpr FeatureSet kFeatureChecksum = 1ULL << 0;         // VIRTIO_NET_F_CSUM
inline constexpr FeatureSet kFeatureGuestChecksum = 1ULL << 1;    // VIRTIO_NET_F_GUEST_CSUM
inline constexpr FeatureSet kFeatureMtu = 1ULL << 3;              // VIRTIO_NET_F_MTU
inline constexpr FeatureSet kFeatureMac = 1ULL << 5;              // VIRTIO_NET_F_MAC
inline constexpr FeatureSet kFeatureGuestTso4 = 1ULL << 7;        // VIRTIO_NET_F_GUEST_TSO4
inline constexpr FeatureSet kFeatureGuestTso6 = 1ULL << 8;        // VIRTIO_NET_F_GUEST_TSO6
inline constexpr FeatureSet kFeatureGuestEcn = 1ULL << 9;         // VIRTIO_NET_F_GUEST_ECN
inline constexpr FeatureSet kFeatureHostTso4 = 1ULL << 11;        // VIRTIO_NET_F_HOST_TSO4
inline constexpr FeatureSet kFeatureHostTso6 = 1ULL << 12;        // VIRTIO_NET_F_HOST_TSO6
inline constexpr FeatureSet kFeatureHostEcn = 1ULL << 13;         // VIRTIO_NET_F_HOST_ECN
inline constexpr FeatureSet kFeatureMergeableRx = 1ULL << 15;     // VIRTIO_NET_F_MRG_RXBUF
inline constexpr FeatureSet kFeatureStatus = 1ULL << 16;          // VIRTIO_NET_F_STATUS
inline constexpr FeatureSet kFeatureControlQueue = 1ULL << 17;    // VIRTIO_NET_F_CTRL_VQ
inline constexpr FeatureSet kFeatureControlRx = 1ULL << 18;       // VIRTIO_NET_F_CTRL_RX
inline constexpr FeatureSet kFeatureControlVlan = 1ULL << 19;     // VIRTIO_NET_F_CTRL_VLAN
inline constexpr FeatureSet kFeatureControlRxExtra = 1ULL << 20;  // VIRTIO_NET_F_CTRL_RX_EXTRA
inline constexpr FeatureSet kFeatureAnnounce = 1ULL << 21;        // VIRTIO_NET_F_GUEST_ANNOUNCE
inline constexpr FeatureSet kFeatureMultiqueue = 1ULL << 22;      // VIRTIO_NET_F_MQ
inline constexpr FeatureSet kFeatureControlMac = 1ULL << 23;      // VIRTIO_NET_F_CTRL_MAC_ADDR
inline constexpr FeatureSet kFeatureControlOffloads = 1ULL << 2;  // VIRTIO_NET_F_CTRL_GUEST_OFFLOADS
inline constexpr FeatureSet kFeatureGuestUso4 = 1ULL << 54;       // VIRTIO_NET_F_GUEST_USO4 (Virtio 1.3)
inline constexpr FeatureSet kFeatureGuestUso6 = 1ULL << 55;       // VIRTIO_NET_F_GUEST_USO6 (Virtio 1.3)
inline constexpr FeatureSet kFeatureHostUso = 1ULL << 56;         // VIRTIO_NET_F_HOST_USO (Virtio 1.3)
inline constexpr FeatureSet kFeatureSpeedDuplex = 1ULL << 63;     // VIRTIO_NET_F_SPEED_DUPLEX
/// What the control queue adds.
inline constexpr FeatureSet kControlFeatures = kFeatureControlQueue | kFeatureControlRx |
                                               kFeatureControlVlan | kFeatureControlRxExtra |
                                               kFeatureAnnounce | kFeatureControlMac;
inline constexpr FeatureSet kGuestOffloadFeatures = kFeatureGuestChecksum | kFeatureGuestTso4 |
                                                    kFeatureGuestTso6 | kFeatureGuestEcn | kFeatureGuestUso4 |
                                                    kFeatureGuestUso6;
inline constexpr FeatureSet kOffloadFeatures = kFeatureChecksum | kFeatureGuestChecksum | kFeatureGuestTso4 |
                                               kFeatureGuestTso6 | kFeatureGuestEcn | kFeatureHostTso4 |
                                               kFeatureHostTso6 | kFeatureHostEcn | kFeatureGuestUso4 |
                                               kFeatureGuestUso6 | kFeatureHostUso;

/// 12 bytes with VERSION_1, whatever else was negotiated.
struct NetHeader {
  std::uint8_t flags = 0;
  std::uint8_t gso_type = 0;
  std::uint16_t header_length = 0;
  std::uint16_t gso_size = 0;
  std::uint16_t checksum_start = 0;
  std::uint16_t checksum_offset = 0;
  std::uint16_t buffers = 1;  // num_buffers: 1 where mergeable buffers were not negotiated
};
static_assert(sizeof(NetHeader) == 12);
static_assert(offsetof(NetHeader, gso_type) == 1 && offsetof(NetHeader, buffers) == 10 &&
              std::endian::native == std::endian::little);

/// The work a driver left to the device, or nothing if the header contradicts itself, the `frame_bytes` it
/// came with, or the features the driver acknowledged.
[[nodiscard]] std::optional<vswitch::Offload> decode_offload(const NetHeader& header, FeatureSet acknowledged,
                                                             std::uint32_t frame_bytes) noexcept;

/// The header for a frame handed to a driver whose offloads cover() `offload`.
[[nodiscard]] NetHeader encode_header(const vswitch::Offload& offload, const vswitch::OffloadSet& accepted,
                                      std::uint16_t buffers) noexcept;

/// True if the header at `raw`, sizeof(NetHeader) bytes, leaves no work to the device: decode_offload() would
/// return an empty Offload.
[[nodiscard]] inline bool is_plain(const std::byte* raw) noexcept {
  std::uint16_t flags_and_gso = 0;
  std::memcpy(&flags_and_gso, raw, sizeof flags_and_gso);
  return (flags_and_gso & (0xff00 | vswitch::Offload::kNeedsChecksum)) == 0;
}

/// Writes the header of a complete frame: encode_header() of an empty Offload in two stores.
inline void write_plain_header(std::byte* to, std::uint16_t buffers) noexcept {
  const std::uint64_t first = 0;
  const std::uint32_t last = std::uint32_t{buffers} << 16;
  std::memcpy(to, &first, sizeof first);
  std::memcpy(to + sizeof first, &last, sizeof last);
}

/// What a driver with these features can be handed.
[[nodiscard]] vswitch::OffloadSet accepted_offloads(FeatureSet acknowledged) noexcept;

/// The dependencies between features of 5.1.3.1.
[[nodiscard]] bool dependencies_met(FeatureSet acknowledged) noexcept;

}  // namespace patchbay::devices::net
