#include "devices/net/net_header.h"

#include <algorithm>

namespace patchbay::devices::net {

using vswitch::Offload;
using vswitch::OffloadSet;

std::optional<Offload> decode_offload(const NetHeader& header, FeatureSet acknowledged,
                                      std::uint32_t frame_bytes) noexcept {
  const auto has = [acknowledged](FeatureSet feature) { return (acknowledged & feature) != 0; };
  Offload offload;
  // 5.1.6.2.2: the device ignores flags it does not know; of those it knows only NEEDS_CSUM is a driver's to
  // set.
  if ((header.flags & Offload::kNeedsChecksum) != 0) {
    if (!has(kFeatureChecksum)) return std::nullopt;
    // "MUST NOT ... if csum_start or csum_offset" lead past the frame: the 16-bit result has to lie in it.
    if (std::uint32_t{header.checksum_start} + header.checksum_offset + 2 > frame_bytes) return std::nullopt;
    offload.flags = Offload::kNeedsChecksum;
    offload.checksum_start = header.checksum_start;
    offload.checksum_offset = header.checksum_offset;
  }
  if (header.gso_type == Offload::kGsoNone) return offload;

  const bool ecn = (header.gso_type & Offload::kGsoEcn) != 0;
  switch (header.gso_type & ~Offload::kGsoEcn) {
    case Offload::kGsoTcp4:
      if (!has(kFeatureHostTso4)) return std::nullopt;
      break;
    case Offload::kGsoTcp6:
      if (!has(kFeatureHostTso6)) return std::nullopt;
      break;
    case Offload::kGsoUdpL4:
      if (!has(kFeatureHostUso) || ecn) return std::nullopt;
      break;
    default:
      return std::nullopt;
  }
  if (ecn && !has(kFeatureHostEcn)) return std::nullopt;
  // 5.1.6.2.1: segmentation comes with a checksum to complete and a size.
  if (offload.flags == 0 || header.gso_size == 0) return std::nullopt;
  offload.gso_type = header.gso_type;
  offload.gso_size = header.gso_size;
  offload.header_length =
      static_cast<std::uint16_t>(std::min<std::uint32_t>(header.header_length, frame_bytes));
  return offload;
}

NetHeader encode_header(const Offload& offload, const OffloadSet& accepted, std::uint16_t buffers) noexcept {
  NetHeader header;
  header.buffers = buffers;
  if (!accepted.checksum) return header;  // 5.1.6.4.1: without GUEST_CSUM flags are 0 and there is no gso
  header.flags = offload.flags;
  header.gso_type = offload.gso_type;
  header.header_length = offload.header_length;
  header.gso_size = offload.gso_size;
  header.checksum_start = offload.checksum_start;
  header.checksum_offset = offload.checksum_offset;
  return header;
}

OffloadSet accepted_offloads(FeatureSet acknowledged) noexcept {
  const auto has = [acknowledged](FeatureSet feature) { return (acknowledged & feature) != 0; };
  return {.checksum = has(kFeatureGuestChecksum),
          .tso4 = has(kFeatureGuestTso4),
          .tso6 = has(kFeatureGuestTso6),
          .ecn = has(kFeatureGuestEcn),
          .uso = has(kFeatureGuestUso4) && has(kFeatureGuestUso6)};
}

bool dependencies_met(FeatureSet acknowledged) noexcept {
  const auto has = [acknowledged](FeatureSet feature) { return (acknowledged & feature) != 0; };
  constexpr FeatureSet guest_tso = kFeatureGuestTso4 | kFeatureGuestTso6;
  constexpr FeatureSet guest_uso = kFeatureGuestUso4 | kFeatureGuestUso6;
  constexpr FeatureSet host_tso = kFeatureHostTso4 | kFeatureHostTso6;
  constexpr FeatureSet over_control =
      (kControlFeatures & ~kFeatureControlQueue) | kFeatureMultiqueue | kFeatureControlOffloads;
  if (has(over_control) && !has(kFeatureControlQueue)) return false;
  if (has(guest_tso | guest_uso) && !has(kFeatureGuestChecksum)) return false;
  if (has(kFeatureHostUso) && !has(kFeatureChecksum)) return false;
  if (has(kFeatureGuestEcn) && !has(guest_tso)) return false;
  if (has(host_tso) && !has(kFeatureChecksum)) return false;
  return !has(kFeatureHostEcn) || has(host_tso);
}

}  // namespace patchbay::devices::net
