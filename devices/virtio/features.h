// Feature bits that belong to the transport and the rings (Virtio 1.2, chapter 6). Bits of a device type
// stand with its model.
#pragma once

#include <cstdint>

namespace patchbay::devices::virtio {

using FeatureSet = std::uint64_t;

inline constexpr FeatureSet kFeatureIndirectDescriptors = 1ULL << 28;  // VIRTIO_F_INDIRECT_DESC
inline constexpr FeatureSet kFeatureEventIndex = 1ULL << 29;           // VIRTIO_F_EVENT_IDX
inline constexpr FeatureSet kFeatureVersion1 = 1ULL << 32;             // VIRTIO_F_VERSION_1
inline constexpr FeatureSet kFeaturePackedRing = 1ULL << 34;           // VIRTIO_F_RING_PACKED
inline constexpr FeatureSet kFeatureInOrder = 1ULL << 35;              // VIRTIO_F_IN_ORDER

}  // namespace patchbay::devices::virtio
