// A packed ring over memory that the input fills, and the calls a device makes, with memory changing in
// between. Invariants: elements lie in guest memory and add up, errors stick, chains in hand never exceed the
// ring.
#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <span>

#include "devices/virtio/packed_ring.h"
#include "tests/fuzz/devices/ring_memory.h"

namespace patchbay::devices {
namespace {

using fuzz::kBase;
using fuzz::ram;
using fuzz::require;

constexpr std::uint64_t kDriverArea = 0x800;

virtio::RingSetup take_setup(fuzz::Input& input) {
  virtio::RingSetup setup;
  const std::uint8_t shape = input.take<std::uint8_t>();
  setup.size = static_cast<std::uint16_t>(1U + (shape & 15));
  setup.event_index = (shape & 16) != 0;
  setup.indirect = (shape & 32) != 0;
  setup.packed = true;
  setup.descriptors = kBase;
  setup.driver_area = kBase + kDriverArea;
  setup.device_area = kBase + kDriverArea + 4;
  setup.in_order = (setup.size & 1) != 0;
  if ((shape & 64) != 0) setup.size = input.take<std::uint16_t>();
  if ((shape & 128) != 0) setup.descriptors = kBase + input.take<std::uint16_t>();
  return setup;
}

void run(fuzz::Input& input) {
  ram.fill(std::byte{0});
  const GuestMemory memory({{kBase, ram}});
  static virtio::PackedRing ring;
  virtio::RingSetup setup = take_setup(input);
  ring.enable(memory, setup);
  virtio::SegmentList list;
  std::deque<std::uint16_t> popped;
  unsigned at = 0;  // of the driver
  for (unsigned steps = 0; !input.empty() && steps < 4096; ++steps) {
    switch (input.below(10)) {
      case 0:
      case 1: {  // the next descriptor of the driver's lap, with fields that are often sensible
        const unsigned size = std::max<unsigned>(1, std::min<unsigned>(setup.size, 128));
        virtio::PackedDescriptor descriptor;
        fuzz::take_buffer(input, descriptor);
        descriptor.id = input.take<std::uint8_t>();
        descriptor.flags =
            static_cast<std::uint16_t>(input.below(8) | virtio::available_flags(at / size % 2 == 0));
        std::memcpy(ram.data() + 16 * (at % size), &descriptor, sizeof descriptor);
        ++at;
        break;
      }
      case 2:
        fuzz::overwrite(input);
        break;
      case 3:
      case 4: {
        if (input.below(4) != 0) list.clear();
        const std::size_t before = list.size();
        virtio::Chain chain;
        const bool was_broken = ring.error() != virtio::RingError::none;
        const virtio::PopStatus status = ring.pop(list, chain);
        if (status == virtio::PopStatus::chain || status == virtio::PopStatus::overlong) {
          require(!was_broken && ring.enabled());
          fuzz::require_sound(chain, list, before);
          popped.push_back(chain.id);
          require(popped.size() <= ring.size());
        } else {
          require(status == virtio::PopStatus::empty || ring.error() != virtio::RingError::none);
        }
        break;
      }
      case 5:
      case 6: {  // pop some and complete some, then perhaps take it all back
        const auto mark = ring.mark();
        const auto kept = popped;
        for (std::uint32_t i = input.below(4); i != 0 && !popped.empty(); --i) {
          ring.complete(popped.front(), input.take<std::uint16_t>());
          popped.pop_front();
        }
        if (input.below(3) == 0) {
          ring.rewind(mark);
          popped = kept;
        } else if (ring.enabled()) {
          static_cast<void>(ring.flush());
        }
        break;
      }
      case 9: {  // singles, of which some are put back
        std::array<virtio::SingleChain, 8> chains;
        const std::size_t taken = ring.pop_singles(std::span(chains).first(1 + input.below(8)));
        const std::size_t kept = taken == 0 ? 0 : input.below(static_cast<std::uint32_t>(taken) + 1);
        for (std::size_t i = 0; i < taken; ++i) {
          fuzz::require_inside(chains[i].data, chains[i].length);
          if (i < kept) popped.push_back(chains[i].id);
        }
        ring.put_back(taken - kept);
        require(kept == 0 || popped.size() <= ring.size());
        break;
      }
      case 7:
        fuzz::switch_notifications(input, ring);
        break;
      default:
        if (input.below(8) == 0) {
          ring.disable();
          require(!ring.enabled() && ring.error() == virtio::RingError::none);
          setup = take_setup(input);
          ring.enable(memory, setup);
          popped.clear();
          at = 0;
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
