// Ethernet, IPv4 and UDP headers of a stream's frames, made once; a generator copies them and fills in the
// flow and the tag. The UDP checksum is zero, "none" (RFC 768), so that neither depends on the payload.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "vswitch/frame.h"
#include "vswitch/traffic/stream_tag.h"

namespace patchbay::vswitch::traffic {

using MacBytes = std::array<std::uint8_t, 6>;
using Ipv4Bytes = std::array<std::uint8_t, 4>;

/// Bytes of the frame check sequence: counted in a frame's size as RFC 2544 does, never present in the
/// switch.
inline constexpr std::size_t kFcsBytes = 4;
inline constexpr std::size_t kTagOffset = 14 + 20 + 8;
/// Frame sizes, FCS included, that have room for the tag and fit the switch.
inline constexpr std::size_t kMinFrameSize = kTagOffset + kTagBytes + kFcsBytes;
inline constexpr std::size_t kMaxFrameSize = 9518;
static_assert(kMinFrameSize == 64, "RFC 2544's smallest frame has room for the tag");

struct StreamAddresses {
  MacBytes source_mac{};
  MacBytes next_hop_mac{};
  Ipv4Bytes source{};
  Ipv4Bytes destination{};
};

class FrameTemplate {
 public:
  /// `size` with FCS, within [kMinFrameSize, kMaxFrameSize].
  FrameTemplate(const StreamAddresses& addresses, std::size_t size) noexcept;

  [[nodiscard]] std::uint32_t length() const noexcept { return length_; }  // without FCS

  /// Writes frame `tag.sequence` of flow `flow` into `frame` (length, offload and header). The bytes from
  /// kHeaderBytes on are the caller's.
  void fill(FrameView& frame, std::uint32_t flow, const StreamTag& tag) const noexcept;

 private:
  std::uint32_t length_;
  alignas(64) std::array<std::byte, kHeaderBytes> header_{};
};

/// The tag of a generator's frame; nothing if it is another program's.
[[nodiscard]] std::optional<StreamTag> tag_of(const FrameView& frame) noexcept;

/// Flows differ by their UDP ports. The most there are.
inline constexpr std::uint32_t kMaxFlows = 1U << 20;

}  // namespace patchbay::vswitch::traffic
