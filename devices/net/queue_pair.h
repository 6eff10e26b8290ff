// One receive and one transmit queue of a virtio-net card, split or packed as the driver negotiated: the data
// path is a template over the ring, and the choice is made once a burst.
//
// Threads: visit() and what it reaches of one queue under that queue's part of the device's lock, everything
// else under the whole.
#pragma once

#include <utility>
#include <variant>

#include "devices/net/receive_queue.h"
#include "devices/net/transmit_queue.h"
#include "devices/virtio/packed_ring.h"
#include "devices/virtio/split_ring.h"

namespace patchbay::devices::net {

template <virtio::DeviceRing Ring>
struct QueuesOf {
  ReceiveQueue<Ring> receive;
  TransmitQueue<Ring> transmit;
};

class QueuePair {
 public:
  /// Calls `use` with the QueuesOf<Ring> in use.
  template <typename Use>
  auto visit(Use use) noexcept {
    if (auto* split = std::get_if<QueuesOf<virtio::SplitRing>>(&queues_)) return use(*split);
    return use(*std::get_if<QueuesOf<virtio::PackedRing>>(&queues_));
  }

  template <typename Use>
  auto visit(Use use) const noexcept {
    if (const auto* split = std::get_if<QueuesOf<virtio::SplitRing>>(&queues_)) return use(*split);
    return use(*std::get_if<QueuesOf<virtio::PackedRing>>(&queues_));
  }

  /// Starts one of the two queues in the format that `setup` tells, the same for both: the other must be
  /// stopped if the format changes.
  [[nodiscard]] virtio::RingError start(bool receive, const GuestMemory& memory,
                                        const virtio::RingSetup& setup) noexcept {
    if (setup.packed != std::holds_alternative<QueuesOf<virtio::PackedRing>>(queues_)) {
      if (setup.packed) {
        queues_.emplace<QueuesOf<virtio::PackedRing>>();
      } else {
        queues_.emplace<QueuesOf<virtio::SplitRing>>();
      }
    }
    return visit([&](auto& queues) {
      if (receive) return queues.receive.ring().enable(memory, setup);
      virtio::RingSetup transmit = setup;
      transmit.only_read = true;
      return queues.transmit.ring().enable(memory, transmit);
    });
  }
  void stop() noexcept {
    stop(true);
    stop(false);
  }
  void stop(bool receive) noexcept {
    visit([receive](auto& queues) {
      if (!receive) return queues.transmit.ring().disable();
      queues.receive.ring().disable();
      queues.receive.forget_error();
    });
  }
  /// Why either queue stopped.
  [[nodiscard]] virtio::RingError error() noexcept {
    return visit([](auto& queues) {
      const virtio::RingError error = queues.receive.error();
      return error != virtio::RingError::none ? error : queues.transmit.ring().error();
    });
  }

 private:
  std::variant<QueuesOf<virtio::SplitRing>, QueuesOf<virtio::PackedRing>> queues_;
};

}  // namespace patchbay::devices::net
