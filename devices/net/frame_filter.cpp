#include "devices/net/frame_filter.h"

#include <algorithm>
#include <cstring>

namespace patchbay::devices::net {

void FrameFilter::reset(const MacAddress& own) noexcept {
  modes_ = {};
  own_ = own;
  unicast_.clear();
  multicast_.clear();
  filter_vlans_ = false;
  vlans_.reset();
}

void FrameFilter::Table::set(std::span<const std::byte> addresses) noexcept {
  constexpr std::size_t kBytes = sizeof(MacAddress);
  const std::size_t wanted = addresses.size() / kBytes;
  overflow_ = wanted > entries_.size();
  count_ = overflow_ ? 0 : wanted;
  for (std::size_t i = 0; i < count_; ++i)
    std::memcpy(entries_[i].data(), &addresses[kBytes * i], kBytes);
}

bool FrameFilter::Table::holds(const std::byte* address) const noexcept {
  return overflow_ || std::any_of(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(count_),
                                  [address](const MacAddress& entry) {
                                    return std::memcmp(entry.data(), address, sizeof entry) == 0;
                                  });
}

bool FrameFilter::passes(const vswitch::FrameView& frame) const noexcept {
  if (modes_.promiscuous) return true;
  const std::byte* const to = frame.header.data();
  if (filter_vlans_ && frame.length >= 18 && to[12] == std::byte{0x81} && to[13] == std::byte{0}) {
    const unsigned tag = std::to_integer<unsigned>(to[14]) << 8 | std::to_integer<unsigned>(to[15]);
    if (!vlans_[tag & 0xFFF]) return false;
  }
  constexpr MacAddress kBroadcast{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
  if (std::memcmp(to, kBroadcast.data(), sizeof kBroadcast) == 0) return !modes_.no_broadcast;
  if ((to[0] & std::byte{1}) != std::byte{0}) {
    return !modes_.no_multicast && (modes_.all_multicast || multicast_.holds(to));
  }
  if (modes_.no_unicast) return false;
  return modes_.all_unicast || std::memcmp(to, own_.data(), sizeof own_) == 0 || unicast_.holds(to);
}

}  // namespace patchbay::devices::net
