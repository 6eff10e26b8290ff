#include "devices/entropy/virtio_rng.h"

#include <sys/random.h>

#include <algorithm>

namespace patchbay::devices::entropy {

VirtioRng::VirtioRng(virtio::DoorbellThread& thread)
    : ServedDevice(
          kDeviceType,
          virtio::kFeatureVersion1 | virtio::kFeatureEventIndex | virtio::kFeatureIndirectDescriptors, 1,
          kQueueSize, thread) {
  start_serving();
}

void VirtioRng::serve() noexcept {
  each_chain(0, [this](const virtio::Chain& chain) {
    std::uint32_t filled = 0;
    // 5.4.6.1: the driver must not give readable buffers; if it does, they are passed over.
    for (const virtio::Segment& segment : segments().segments().subspan(chain.readable)) {
      const std::uint32_t wanted = std::min(segment.length, kMaxBytes - filled);
      const ssize_t got = ::getrandom(segment.data, wanted, 0);
      if (got > 0) filled += static_cast<std::uint32_t>(got);
      if (got != static_cast<ssize_t>(segment.length)) break;
    }
    ring(0).complete(chain.id, filled);
    return true;
  });
}

}  // namespace patchbay::devices::entropy
