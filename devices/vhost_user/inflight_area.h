// The area that outlives us, and tells whoever serves the rings next what we had taken and not given back
// (vhost-user specification, "Inflight I/O tracking"). Our rings complete in order and hold nothing between
// bursts: no chain is ever marked as in flight, and what we took without giving it back is taken again from
// where used chains end. A split ring says in its used index where that is; for a packed ring the area does.
//
// A region is in use between the start of its ring and an orderly stop, where the front end learns the
// position from us. One that is in use when a ring starts was left by a crash or a lost connection, and knows
// better than the front end where the ring stands.
//
// Thread: control; a running packed ring's record is written by the worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "devices/bus.h"
#include "devices/guest_memory.h"
#include "devices/vhost_user/protocol.h"
#include "devices/vhost_user/shared_mapping.h"
#include "devices/virtio/ring.h"

namespace patchbay::devices::vhost_user {

class InflightArea {
 public:
  /// Bytes enough for `queues` rings of up to `queue_size`, of either format.
  [[nodiscard]] static std::uint64_t bytes(std::uint16_t queues, std::uint16_t queue_size) noexcept;
  /// A memfd of so many bytes, with no region in use. Throws std::runtime_error.
  [[nodiscard]] static FileDescriptor create(std::uint64_t bytes);

  /// Maps the part of what a front end offers that can be of use. Throws std::runtime_error if it is too
  /// small, or none. Precondition: numbers of queues and sizes that rings can have.
  InflightArea(const Inflight& offered, int fd);

  /// Prepares `ring` for a start: takes the position over from a region that is in use, else puts it down
  /// there. Changes setup.next_avail and setup.used_record. Throws std::runtime_error for a region that makes
  /// no sense, or in which another back end has chains in flight.
  void start(unsigned ring, virtio::RingSetup& setup, const GuestMemory& memory);
  /// After an orderly stop: the front end knows the position.
  void finish(unsigned ring, bool packed) noexcept;

 private:
  [[nodiscard]] std::span<std::byte> region(unsigned ring, bool packed) const noexcept;
  [[nodiscard]] std::uint16_t resumed(std::span<std::byte> region, const virtio::RingSetup& setup,
                                      const GuestMemory& memory) const;
  void begin(std::span<std::byte> region, const virtio::RingSetup& setup) const noexcept;

  std::uint16_t queues_;
  std::uint16_t queue_size_;
  SharedMapping mapping_;
};

}  // namespace patchbay::devices::vhost_user
