// Which flow a frame belongs to, as a number: for the choice among a device's receive queues (Virtio 1.2,
// 5.1.6.5.6 leaves the method of automatic steering to the device). Addresses and ports of IPv4 and IPv6;
// everything else is one flow a pair of MAC addresses. Looks at the switch's copy of the header only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "vswitch/frame.h"

namespace patchbay::devices::net {

[[nodiscard]] inline std::uint32_t flow_hash(const vswitch::FrameView& frame) noexcept {
  const std::span<const std::byte> bytes = frame.header_bytes();
  std::uint64_t hash = 0;
  const auto mix = [&](std::size_t offset, std::size_t length) {
    while (length != 0) {
      const std::size_t n = length < 8 ? length : 8;
      std::uint64_t word = 0;
      if (offset + n <= bytes.size()) std::memcpy(&word, bytes.data() + offset, n);
      hash = (hash ^ word) * 0x9e37'79b9'7f4a'7c15;
      hash ^= hash >> 29;
      offset += n;
      length -= n;
    }
  };
  const auto byte = [&](std::size_t offset) {
    return offset < bytes.size() ? std::to_integer<unsigned>(bytes[offset]) : 0U;
  };

  std::size_t network = 14;
  unsigned type = byte(12) << 8 | byte(13);
  if (type == 0x8100) {
    type = byte(16) << 8 | byte(17);
    network = 18;
  }
  unsigned protocol = 0;
  std::size_t transport = 0;
  bool fragment = false;
  if (type == 0x0800) {
    mix(network + 12, 8);
    protocol = byte(network + 9);
    transport = network + std::size_t{4} * (byte(network) & 0xf);
    fragment = ((byte(network + 6) & 0x3f) | byte(network + 7)) != 0;
  } else if (type == 0x86dd) {
    mix(network + 8, 32);
    protocol = byte(network + 6);
    transport = network + 40;
  } else {
    mix(0, 12);
  }
  // All fragments of a datagram go the same way, and only the first has ports.
  if (!fragment && (protocol == 6 || protocol == 17)) mix(transport, 4);
  return static_cast<std::uint32_t>(hash >> 32);
}

}  // namespace patchbay::devices::net
