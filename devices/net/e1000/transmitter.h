// The transmit side of the card: takes packets out of the descriptor ring (manual 3.3, 3.4, 13.4.38 ff.) as
// frame views and gives the descriptors back when the switch is done with them.
//
// Checksum and segmentation requests of the guest are not carried out here: they become FrameView::offload,
// in the meaning of virtio-net, and the switch completes them unless the destination takes them as they are.
//
// Not thread-safe: the card's lock covers every call.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "devices/guest_memory.h"
#include "devices/net/e1000/registers.h"
#include "devices/net/e1000/transmit_offload.h"
#include "vswitch/counters.h"
#include "vswitch/frame.h"

namespace patchbay::devices::net::e1000 {

class Statistics;

class Transmitter {
 public:
  void reset() noexcept { *this = Transmitter{}; }

  // Ring registers. A guest may write them at any time, in any order.
  std::uint32_t base_low = 0, base_high = 0, length = 0, head = 0, tail = 0, control = 0;

  /// What the card needs to know besides the ring.
  struct Environment {
    const GuestMemory& memory;
    bool link_up;             // otherwise packets are dropped
    bool vlan_insertion;      // CTRL.VME
    std::uint32_t vlan_type;  // VET
    vswitch::PortCounters& counters;
    Statistics& statistics;
  };

  /// Interrupt causes of completed descriptors.
  struct Causes {
    std::uint32_t now = 0;
    std::uint32_t delayed = 0;  // the driver said that they may wait (IDE, 3.3.3.1)
  };

  /// False too while all that is there is a packet without its end: the guest has to move the tail first.
  [[nodiscard]] bool has_work() const noexcept;
  /// Appends complete packets to `burst`; packets that make no sense are dropped and counted. Descriptors of
  /// dropped packets may complete here.
  [[nodiscard]] Causes pull(vswitch::Burst& burst, const Environment& environment) noexcept;
  /// Completes the first `consumed` frames of the last pull.
  [[nodiscard]] Causes release(std::size_t consumed, const Environment& environment) noexcept;

 private:
  /// A context descriptor (3.3.6): where checksums go, and how to cut.
  struct Context {
    OffloadRequest request;
    static Context parse(const TxDescriptor& descriptor) noexcept;
  };
  /// Linux programs one context for segmentation and another for checksums and switches between them.
  struct Contexts {
    Context segmentation, checksum;
  };
  /// One packet in the ring, from its first descriptor (context descriptors before it included) to EOP.
  struct Packet {
    std::uint32_t end = 0;  // index behind its last descriptor
    Contexts contexts;      // as they stand behind it
    bool good = false;      // a frame of the burst; otherwise dropped, or nothing but contexts
    std::optional<vswitch::DropReason> drop;
    bool segmented = false;
    std::uint32_t length = 0;
    std::uint16_t segment_bytes = 0, header_bytes = 0;  // where it leaves as several frames
    bool multicast = false, broadcast = false;
  };
  /// What the first data descriptor says about the whole packet (3.3.7.2).
  struct Options {
    bool extended = false, segment = false;
    std::uint8_t checksums = 0;  // POPTS
  };
  struct Gathered;

  [[nodiscard]] std::uint32_t ring_size() const noexcept { return length / sizeof(TxDescriptor); }
  [[nodiscard]] std::byte* ring(const GuestMemory& memory) const noexcept;
  /// Walks the descriptors of the packet that starts at `start`. False while its end is not in the ring yet.
  [[nodiscard]] bool gather(std::uint32_t start, const std::byte* ring, vswitch::Burst& burst,
                            const Environment& environment, Contexts& contexts, Packet& packet) noexcept;
  /// Applies the packet's options to the gathered frame.
  [[nodiscard]] std::optional<vswitch::DropReason> finish(Gathered& gathered, const TxDescriptor& last,
                                                          const Options& options, const Contexts& contexts,
                                                          const Environment& environment) noexcept;
  void complete(const Packet& packet, std::byte* ring, Causes& causes) noexcept;
  static void count(const Packet& packet, Statistics& statistics) noexcept;
  [[nodiscard]] bool queued() const noexcept;

  Contexts contexts_;  // behind the last completed packet
  /// Bytes that a VLAN tag pushed out of a frame's header copy, one slot a frame of the burst.
  std::array<std::array<std::byte, 4>, vswitch::kBurstFrames> displaced_;
  std::array<Packet, 2 * vswitch::kBurstFrames> packets_;
  std::size_t packet_count_ = 0;
  std::optional<std::uint32_t> unfinished_at_;  // the tail behind a packet without its end
};

}  // namespace patchbay::devices::net::e1000
