// The way out for packets: queues towards the driver, one per interface, and the buffers that are given back.
//
// Everything goes to the driver in bursts, at the latest with flush() at the end of a call of the router.
// Every packet that ends here is counted (counters.h).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "appliances/router/core/counters.h"
#include "appliances/router/core/environment.h"
#include "appliances/router/core/interface.h"
#include "appliances/router/core/packet.h"

namespace patchbay::router {

class Transmitter {
 public:
  struct Queue {
    std::size_t count = 0;
    std::array<PacketBuffer*, kBurstPackets> packets{};
  };

  /// One queue per interface.
  Transmitter(Environment& environment, std::span<Interface> interfaces, std::span<Queue> queues,
              RouterCounters& counters) noexcept
      : environment_(environment), interfaces_(interfaces), queues_(queues), counters_(counters) {}

  /// Sends a complete frame.
  void send(InterfaceId interface, PacketBuffer& packet) noexcept {
    Queue& queue = queues_[interface];
    queue.packets[queue.count++] = &packet;
    waiting_ |= std::uint64_t{1} << interface;
    if (queue.count == kBurstPackets) flush(interface);
  }
  /// Gives a packet back that was not delivered.
  void drop(PacketBuffer& packet, DropReason reason) noexcept {
    ++counters_.drops(reason);
    if (packet.ingress != kNoInterface) ++interfaces_[packet.ingress].counters.rx_dropped;
    release(packet);
  }
  /// Gives a packet back that was for the router itself.
  void consume(PacketBuffer& packet) noexcept {
    ++counters_.consumed;
    release(packet);
  }
  /// Gives a packet back that fragments have replaced.
  void finish_fragmented(PacketBuffer& packet) noexcept {
    ++counters_.fragmented;
    release(packet);
  }
  /// An empty frame of `bytes` bytes for the router to fill; nullptr if the driver has none. The caller
  /// counts it (originated, fragments_made) once it is sure to use it.
  [[nodiscard]] PacketBuffer* allocate(std::size_t bytes) noexcept;
  /// Gives a buffer from allocate() back that was never counted.
  void discard(PacketBuffer& packet) noexcept { release(packet); }

  /// Hands everything to the driver.
  void flush() noexcept;

 private:
  void release(PacketBuffer& packet) noexcept {
    done_.packets[done_.count++] = &packet;
    if (done_.count == kBurstPackets) release_done();
  }
  void flush(InterfaceId interface) noexcept;
  void release_done() noexcept;

  Environment& environment_;
  std::span<Interface> interfaces_;
  std::span<Queue> queues_;
  RouterCounters& counters_;
  std::uint64_t waiting_ = 0;  // interfaces with packets in their queue
  Queue done_;

  static_assert(kMaxInterfaces <= 64, "waiting_ has a bit per interface");
};

}  // namespace patchbay::router
