// Two virtio-net cards behind PCI: arbitrary register and configuration accesses, arbitrary guest memory, and
// a worker that forwards between the cards meanwhile. One operation brings a card up the way a driver does,
// so that the input reaches the data path. Invariants: views lie in guest memory, every frame is accounted
// for.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>

#include "devices/net/virtio_net.h"
#include "devices/virtio/packed_layout.h"
#include "devices/virtio/pci_transport.h"
#include "tests/fuzz/devices/fuzz_input.h"

namespace patchbay::devices {
namespace {

using fuzz::require;
using net::VirtioNet;

constexpr std::uint64_t kBase = 0x10'0000;
constexpr std::size_t kBytes = 0x8000;
constexpr std::uint16_t kQueueSize = 16;

// Where the bring-up puts the rings of a card: queue q at kRings + q * kRingStride.
constexpr std::uint64_t kRingStride = 0x400;
constexpr std::uint64_t kAvail = 0x100;
constexpr std::uint64_t kUsed = 0x200;
constexpr std::uint16_t kQueues = 5;  // two pairs and the control queue
constexpr std::uint64_t kData = 0x1800;

class Machine final : public MsiVectors, public InterruptPin, public Doorbells {
 public:
  void configure(unsigned, std::uint64_t, std::uint32_t) noexcept override {}
  void raise(unsigned vector) noexcept override { require(vector < kQueues + 1); }
  void set(bool) noexcept override {}
  bool attach(std::uint64_t, int) noexcept override { return false; }
  void detach(std::uint64_t, int) noexcept override {}
};

net::VirtioNetConfig config() {
  net::VirtioNetConfig result;
  result.mac = {2, 0, 0, 0, 0, 1};
  result.mtu = 9000;
  result.queue_size = kQueueSize;
  result.offloads = true;
  result.queue_pairs = 2;
  return result;
}

struct Guest {
  Guest() {
    function.attach({&memory, &machine, &machine, &machine});
    write_config(0x10, 0xE000'0000);
    write_config(0x18, 0xE001'0000);
    write_config(0x04, 6);
  }
  void write_config(std::uint32_t offset, std::uint32_t value) {
    function.config_write(offset, std::as_bytes(std::span(&value, 1)));
  }
  template <typename T>
  void write(std::uint64_t offset, T value) {
    function.bar_write(0, offset, std::as_bytes(std::span(&value, 1)));
  }
  template <typename T>
  void store(std::uint64_t offset, T value) {
    std::memcpy(ram.data() + offset % (kBytes - sizeof value), &value, sizeof value);
  }

  void bring_up(fuzz::Input& input) {
    write_config(0x04, 6);
    for (const unsigned status : {0U, 1U, 3U})
      write(20, static_cast<std::uint8_t>(status));
    const auto features = static_cast<std::uint32_t>(card.offered_features());
    write<std::uint32_t>(8, 0);
    write<std::uint32_t>(12, input.below(2) != 0 ? features : features & input.take<std::uint32_t>());
    write<std::uint32_t>(8, 1);
    // VERSION_1, and packed rings and IN_ORDER as the input will have it.
    packed = input.below(2) != 0;
    write<std::uint32_t>(12, 1U | (packed ? 1U << 2 : 0U) | (input.below(2) != 0 ? 1U << 3 : 0U));
    std::fill(lap.begin(), lap.end(), std::uint8_t{0});
    write<std::uint8_t>(20, 11);
    for (std::uint16_t queue = 0; queue < kQueues; ++queue) {
      const std::uint64_t ring = queue * kRingStride;
      std::fill_n(ram.data() + ring, kRingStride, std::byte{0});
      write<std::uint16_t>(22, queue);
      write<std::uint16_t>(26, queue);
      write<std::uint64_t>(32, kBase + ring);
      write<std::uint64_t>(40, kBase + ring + kAvail);
      write<std::uint64_t>(48, kBase + ring + kUsed);
      write<std::uint16_t>(28, 1);
    }
    write<std::uint8_t>(20, 15);
  }
  void offer_chain(fuzz::Input& input) {
    const std::uint32_t queue = input.below(kQueues);
    const std::uint64_t ring = queue * kRingStride;
    const bool control = queue == 2 || queue + 1 == kQueues;
    const bool receive = queue % 2 == 0 && !control;
    const auto head = static_cast<std::uint16_t>(input.below(kQueueSize + 1));
    virtio::SplitDescriptor descriptor;
    descriptor.address = kBase + kData + input.take<std::uint16_t>() % (kBytes - kData + 64);
    descriptor.length = input.take<std::uint16_t>() % 0x2000;
    descriptor.flags = static_cast<std::uint16_t>(receive ? virtio::SplitDescriptor::kWrite : 0);
    if (input.below(4) == 0) descriptor.flags = static_cast<std::uint16_t>(input.below(8));
    descriptor.next = static_cast<std::uint16_t>(input.below(kQueueSize));
    if (control) {  // a command, whose answer goes to the next descriptor
      descriptor.length = input.below(40);
      descriptor.flags |= virtio::SplitDescriptor::kNext;
      store<std::uint64_t>(descriptor.address - kBase, input.take<std::uint64_t>());
      store<std::uint8_t>(descriptor.address - kBase, static_cast<std::uint8_t>(input.below(7)));
      store<std::uint8_t>(descriptor.address - kBase + 1, static_cast<std::uint8_t>(input.below(7)));
      if (packed) {
        offer_packed(ring, descriptor);
        descriptor = {kBase + kData, 1, virtio::SplitDescriptor::kWrite, 0};
      } else {
        store(ring + 16U * head, descriptor);
        store(ring + 16U * descriptor.next,
              virtio::SplitDescriptor{kBase + kData, 1, virtio::SplitDescriptor::kWrite, 0});
      }
    }
    if (packed) {
      offer_packed(ring, descriptor);
    } else if (!control) {
      store(ring + 16U * head, descriptor);
    }
    if (!receive && !control && input.below(2) != 0) {
      net::NetHeader header;
      header.flags = static_cast<std::uint8_t>(input.below(3));
      header.gso_type = static_cast<std::uint8_t>(input.below(6) | (input.below(4) == 0 ? 0x80U : 0U));
      header.gso_size = input.take<std::uint8_t>();
      header.checksum_start = static_cast<std::uint16_t>(input.below(256));
      header.checksum_offset = static_cast<std::uint16_t>(input.below(256));
      store(descriptor.address - kBase, header);
    }
    if (packed) return;
    std::uint16_t index;
    std::memcpy(&index, ram.data() + ring + kAvail + 2, 2);
    store<std::uint16_t>(ring + kAvail + 4 + 2U * (index % kQueueSize), head);
    store<std::uint16_t>(ring + kAvail + 2, static_cast<std::uint16_t>(index + 1));
  }
  /// The next descriptor of a packed ring's lap, as a driver writes it.
  void offer_packed(std::uint64_t ring, const virtio::SplitDescriptor& fields) {
    std::uint8_t& at = lap[ring / kRingStride];
    const auto available = virtio::available_flags((at & kQueueSize) == 0);
    store(ring + 16U * (at % kQueueSize),
          virtio::PackedDescriptor{fields.address, fields.length, static_cast<std::uint16_t>(at % kQueueSize),
                                   static_cast<std::uint16_t>((fields.flags & 7) | available)});
    ++at;
  }
  [[nodiscard]] std::uint64_t dropped_out() const {
    std::uint64_t sum = 0;
    for (const vswitch::SharedCounter& counter : card.counters.out.dropped)
      sum += counter.value();
    return sum;
  }

  alignas(4096) std::array<std::byte, kBytes> ram{};
  bool packed = false;
  std::array<std::uint8_t, kQueues> lap{};  // descriptors offered, by queue
  GuestMemory memory{{{kBase, ram}}};
  Machine machine;
  VirtioNet card{"fuzz:eth0", config()};
  virtio::PciTransport function{card, VirtioNet::kPciClass};
};

void forward(Guest& from, Guest& to, vswitch::Burst& burst, fuzz::Input& input) {
  burst.clear();
  from.card.pull(burst);
  if (burst.empty()) return;
  const vswitch::FrameView* frames[vswitch::kBurstFrames];
  const vswitch::OffloadSet accepted = to.card.accepts();
  std::size_t n = 0;
  for (vswitch::FrameView& frame : burst.frames()) {
    std::size_t bytes = frame.header_bytes().size();
    for (const vswitch::Piece& piece : frame.tail) {
      require(piece.data() >= from.ram.data() && piece.size() <= kBytes);
      require(piece.data() + piece.size() <= from.ram.data() + kBytes);
      bytes += piece.size();
    }
    require(bytes == frame.length && frame.length >= 14 && frame.length <= vswitch::kMaxFrameBytes);
    require(frame.offload.flags == 0 ||
            std::uint32_t{frame.offload.checksum_start} + frame.offload.checksum_offset + 2 <= frame.length);
    if (!accepted.covers(frame.offload)) frame.offload = {};
    frames[n++] = &frame;
  }
  if (input.below(8) == 0) from.write<std::uint8_t>(20, 0);  // the driver resets in between
  const std::uint64_t before = to.card.counters.out.delivered.value() + to.dropped_out();
  const std::size_t moved = to.card.push(std::span(frames, n));
  require(to.card.counters.out.delivered.value() + to.dropped_out() == before + moved && moved <= n);
  require(to.card.copied().into_guest == to.card.counters.out.bytes.value());
  from.card.release(input.below(4) == 0 ? moved / 2 : moved);
}

void run(fuzz::Input& input) {
  // Cards are kept short-lived, as descriptors and pages are made per card.
  const auto a = std::make_unique<Guest>();
  const auto b = std::make_unique<Guest>();
  static const auto burst = std::make_unique<vswitch::Burst>();
  const std::uint32_t start = input.below(8);
  if (start != 0) a->bring_up(input);
  if (start > 1) b->bring_up(input);
  for (unsigned steps = 0; !input.empty() && steps < 2048; ++steps) {
    Guest& guest = input.below(2) == 0 ? *a : *b;
    Guest& other = &guest == a.get() ? *b : *a;
    std::array<std::byte, 8> data;
    const auto width = std::size_t{1} << input.below(4);
    switch (input.below(12)) {
      case 0:
        guest.bring_up(input);
        break;
      case 1:
      case 2:
        guest.offer_chain(input);
        break;
      case 3:
      case 4:
        forward(guest, other, *burst, input);
        break;
      case 5: {  // mostly the common configuration
        const std::uint64_t offset = input.below(2) != 0 ? input.below(64) : input.take<std::uint16_t>();
        const auto value = input.take<std::uint64_t>();
        std::memcpy(data.data(), &value, 8);
        guest.function.bar_write(input.below(4) == 0 ? input.below(6) : 0, offset,
                                 std::span(data).first(width));
        break;
      }
      case 6:
        guest.function.bar_read(input.below(6), input.take<std::uint16_t>(), std::span(data).first(width));
        break;
      case 7: {
        const auto value = input.take<std::uint32_t>();
        std::memcpy(data.data(), &value, 4);
        guest.function.config_write(input.below(256), std::span(data).first(std::min<std::size_t>(width, 4)));
        guest.function.config_read(input.below(256), std::span(data).first(std::min<std::size_t>(width, 4)));
        break;
      }
      case 8:
        guest.store(input.take<std::uint16_t>(), input.take<std::uint64_t>());
        break;
      case 10:
        guest.card.notify(input.below(kQueues + 1));
        break;
      case 9:
        if (!guest.card.arm()) guest.card.disarm();
        break;
      default:
        guest.card.set_link(input.below(4) != 0);
        break;
    }
  }
}

}  // namespace
}  // namespace patchbay::devices

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  patchbay::devices::fuzz::Input input(data, size);
  patchbay::devices::run(input);
  return 0;
}
