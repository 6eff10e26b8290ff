// What people call the feature bits of a virtio-net card, for listings.
#pragma once

#include <string>
#include <vector>

#include "devices/virtio/features.h"

namespace patchbay::devices::net {

/// The specification's names without VIRTIO_ and VIRTIO_NET_ ("F_MRG_RXBUF", "F_RING_PACKED"), by bit; bits
/// without a name as "bit 40".
[[nodiscard]] std::vector<std::string> feature_names(virtio::FeatureSet features);

}  // namespace patchbay::devices::net
