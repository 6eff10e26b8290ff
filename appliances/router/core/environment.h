// What the router needs from where it runs: the network cards' driver and a terminal.
//
// The appliance's drivers implement these over virtio rings and a serial port; tests over arrays and strings.
// Calls come in bursts, on the thread that called the router, and must not call back into it.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "appliances/router/core/packet.h"

namespace patchbay::router {

class Environment {
 public:
  /// Queues frames for sending. Returns how many from the front were taken; those belong to the driver again,
  /// the router keeps the rest (and drops them). At most kBurstPackets frames a call.
  [[nodiscard]] virtual std::size_t transmit(InterfaceId interface,
                                             std::span<PacketBuffer* const> packets) = 0;
  /// Gives buffers back without sending them.
  virtual void release(std::span<PacketBuffer* const> packets) = 0;
  /// A buffer for a frame of up to `bytes` bytes that the router makes itself, with offset and length set to
  /// 0 and ingress to kNoInterface; nullptr if none is free or none is large enough.
  [[nodiscard]] virtual PacketBuffer* allocate(std::size_t bytes) = 0;

 protected:
  ~Environment() = default;
};

/// The terminal on which the console writes. "\r\n" ends lines.
class ConsoleOutput {
 public:
  virtual void write(std::string_view text) = 0;

 protected:
  ~ConsoleOutput() = default;
};

}  // namespace patchbay::router
