// Ethernet II framing (IEEE 802.3).
#pragma once

#include <cstddef>
#include <cstdint>

#include "appliances/router/core/wire.h"

namespace patchbay::router {

inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherTypeArp = 0x0806;

struct EthernetHeader {
  MacAddress destination;
  MacAddress source;
  BigEndian16 type;
};
static_assert(sizeof(EthernetHeader) == 14 && alignof(EthernetHeader) == 1);

inline constexpr std::size_t kEthernetBytes = sizeof(EthernetHeader);

}  // namespace patchbay::router
