// A split ring over memory that the input fills, and the calls a device makes, in any order, with memory
// changing in between. Invariants: elements lie in guest memory and add up, errors stick, the device writes
// nothing but its ring.
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "devices/virtio/split_ring.h"
#include "tests/fuzz/devices/ring_memory.h"

namespace patchbay::devices {
namespace {

using fuzz::kBase;
using fuzz::ram;
using fuzz::require;

/// Rings that are mostly where they should be, so that the input gets past enable().
virtio::RingSetup take_setup(fuzz::Input& input) {
  virtio::RingSetup setup;
  const std::uint8_t shape = input.take<std::uint8_t>();
  setup.size = static_cast<std::uint16_t>(1U << (shape & 7));
  setup.event_index = (shape & 8) != 0;
  setup.indirect = (shape & 16) != 0;
  setup.descriptors = kBase;
  setup.driver_area = kBase + 0x800;
  setup.device_area = kBase + 0xA00;
  if ((shape & 32) != 0) setup.size = input.take<std::uint16_t>();
  if ((shape & 64) != 0) setup.descriptors = kBase + input.take<std::uint16_t>();
  if ((shape & 128) != 0) setup.device_area = kBase + input.take<std::uint16_t>();
  return setup;
}

void check_chain(const virtio::Chain& chain, const virtio::SegmentList& list, std::size_t before,
                 bool whole) {
  fuzz::require_sound(chain, list, before);
  require(list.size() - before == std::size_t{chain.readable} + chain.writable);
  require(whole || list.full() || list.size() - before >= 256);
}

void run(fuzz::Input& input) {
  ram.fill(std::byte{0});
  const GuestMemory memory({{kBase, ram}});
  virtio::SplitRing ring;
  virtio::RingSetup setup = take_setup(input);
  ring.enable(memory, setup);
  virtio::SegmentList list;
  std::vector<std::uint16_t> popped;
  virtio::SplitRing::Mark flushed = ring.mark();

  for (unsigned steps = 0; !input.empty() && steps < 4096; ++steps) {
    switch (input.below(10)) {
      case 0: {  // one descriptor, with fields that are often sensible
        const std::uint32_t at = 16 * input.below(128);
        virtio::SplitDescriptor descriptor;
        fuzz::take_buffer(input, descriptor);
        descriptor.flags = static_cast<std::uint16_t>(input.below(9));
        descriptor.next = input.take<std::uint8_t>();
        std::memcpy(ram.data() + at, &descriptor, sizeof descriptor);
        break;
      }
      case 1:
        fuzz::overwrite(input);
        break;
      case 2: {  // an available entry and the index behind it
        std::uint16_t index;
        std::memcpy(&index, ram.data() + 0x802, 2);
        const std::uint16_t head = input.take<std::uint8_t>();
        std::memcpy(ram.data() + 0x804 + 2 * (index % 128U), &head, 2);
        ++index;
        std::memcpy(ram.data() + 0x802, &index, 2);
        break;
      }
      case 3:
      case 4: {
        if (input.below(4) != 0) list.clear();
        const std::size_t before = list.size();
        virtio::Chain chain;
        const bool was_broken = ring.error() != virtio::RingError::none;
        const virtio::PopStatus status = ring.pop(list, chain);
        if (status == virtio::PopStatus::chain || status == virtio::PopStatus::overlong) {
          require(!was_broken && ring.enabled() && chain.id < ring.size());
          check_chain(chain, list, before, status == virtio::PopStatus::chain);
          popped.push_back(chain.id);
        } else if (status == virtio::PopStatus::broken) {
          require(ring.error() != virtio::RingError::none);
        } else {
          require(!was_broken || !ring.enabled());
        }
        break;
      }
      case 5:
        if (!popped.empty() && ring.error() == virtio::RingError::none) {
          ring.complete(popped.back(), input.take<std::uint32_t>());
          popped.pop_back();
        }
        break;
      case 6:
        static_cast<void>(ring.flush());
        flushed = ring.mark();
        break;
      case 7:
        ring.rewind(flushed);
        popped.clear();
        break;
      case 8:
        fuzz::switch_notifications(input, ring);
        break;
      default:
        if (input.below(8) == 0) {
          ring.disable();
          require(!ring.enabled() && ring.error() == virtio::RingError::none);
          setup = take_setup(input);
          ring.enable(memory, setup);
          popped.clear();
          flushed = ring.mark();
        }
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
