// Guest memory for the fuzz targets of rings, and what they do and check alike.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "devices/virtio/ring.h"
#include "tests/fuzz/devices/fuzz_input.h"

namespace patchbay::devices::fuzz {

inline constexpr std::uint64_t kBase = 0x10000;
inline constexpr std::size_t kBytes = 0x2000;
alignas(4096) inline std::array<std::byte, kBytes> ram;

/// Any bytes anywhere.
inline void overwrite(Input& input) {
  const std::size_t at = input.below(kBytes - 8);
  const auto value = input.take<std::uint64_t>();
  std::memcpy(ram.data() + at, &value, sizeof value);
}

/// Address and length of a descriptor, often sensible.
template <typename Descriptor>
void take_buffer(Input& input, Descriptor& descriptor) {
  descriptor.address = kBase + input.take<std::uint16_t>() % (kBytes + 64);
  descriptor.length = input.take<std::uint8_t>() * (input.below(4) == 0 ? 16U : 1U);
}

/// An element of a chain.
inline void require_inside(const std::byte* data, std::size_t length) {
  require(length != 0 && data >= ram.data() && data < ram.data() + ram.size());
  require(length <= static_cast<std::size_t>(ram.data() + ram.size() - data));
}

/// A chain whose elements are in `list` from `first` on.
inline void require_sound(const virtio::Chain& chain, const virtio::SegmentList& list, std::size_t first) {
  std::uint64_t bytes = 0;
  for (std::size_t i = first; i < list.size(); ++i) {
    require_inside(list[i].data, list[i].length);
    bytes += list[i].length;
  }
  require(bytes == chain.readable_bytes + chain.writable_bytes);
}

template <typename Ring>
void switch_notifications(Input& input, Ring& ring) {
  if (input.below(2) != 0) {
    static_cast<void>(ring.enable_notifications());
  } else {
    ring.disable_notifications();
  }
  require(ring.available() <= ring.size());
}

}  // namespace patchbay::devices::fuzz
