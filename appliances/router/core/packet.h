// A frame in a buffer of the driver, on its way through the router.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "appliances/router/core/address.h"

namespace patchbay::router {

/// Frames that one call of Router::receive takes at most.
inline constexpr std::size_t kBurstPackets = 64;

/// One contiguous frame from the Ethernet header on, without FCS. The driver owns the buffer and this
/// descriptor; the router uses both from receive() or allocate() until it hands them to transmit() or
/// release(). offset + length <= capacity at all times; the router shortens frames and rewrites them in
/// place.
struct PacketBuffer {
  std::byte* buffer = nullptr;
  std::uint32_t capacity = 0;          // bytes at `buffer`
  std::uint32_t offset = 0;            // of the first byte of the frame
  std::uint32_t length = 0;            // of the frame
  InterfaceId ingress = kNoInterface;  // where it was received; kNoInterface if it was made by the router
  PacketBuffer* next = nullptr;        // the router's, while it owns the packet: queues
  std::uint64_t driver_data = 0;       // the driver's own; the router neither reads nor writes it

  [[nodiscard]] std::byte* data() noexcept { return buffer + offset; }
  [[nodiscard]] const std::byte* data() const noexcept { return buffer + offset; }
  [[nodiscard]] std::span<std::byte> bytes() noexcept { return {data(), length}; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data(), length}; }
};

}  // namespace patchbay::router
