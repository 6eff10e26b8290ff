#include "appliances/router/core/transmitter.h"

namespace patchbay::router {

PacketBuffer* Transmitter::allocate(std::size_t bytes) noexcept {
  PacketBuffer* packet = environment_.allocate(bytes);
  if (packet == nullptr) return nullptr;
  packet->ingress = kNoInterface;
  packet->next = nullptr;
  packet->length = static_cast<std::uint32_t>(bytes);
  return packet;
}

void Transmitter::flush(InterfaceId interface) noexcept {
  Queue& queue = queues_[interface];
  const auto packets = std::span<PacketBuffer* const>(queue.packets).first(queue.count);
  std::uint64_t bytes = 0;  // summed before the driver takes them: what it took is no longer ours to read
  for (const auto* packet : packets)
    bytes += packet->length;
  const std::size_t taken = environment_.transmit(interface, packets);
  auto& counters = interfaces_[interface].counters;
  for (std::size_t i = taken; i < packets.size(); ++i) {
    bytes -= packets[i]->length;
    ++counters.tx_dropped;
    ++counters_.drops(DropReason::transmit_full);
    release(*packets[i]);
  }
  counters.tx_frames += taken;
  counters.tx_bytes += bytes;
  counters_.transmitted += taken;
  queue.count = 0;
  waiting_ &= ~(std::uint64_t{1} << interface);
}

void Transmitter::release_done() noexcept {
  if (done_.count == 0) return;
  environment_.release(std::span<PacketBuffer* const>(done_.packets).first(done_.count));
  done_.count = 0;
}

void Transmitter::flush() noexcept {
  while (waiting_ != 0)
    flush(static_cast<InterfaceId>(std::countr_zero(waiting_)));
  release_done();
}

}  // namespace patchbay::router
