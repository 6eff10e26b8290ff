// The control queue of a virtio-net card (Virtio 1.2, 5.1.6.5): receive modes, addresses, VLANs,
// announcements, queue pairs, guest offloads. Each command is copied once, then checked, then carried out as
// a whole or not at all.
#include <array>
#include <cstring>
#include <optional>

#include "devices/net/segment_cursor.h"
#include "devices/net/virtio_net.h"

namespace patchbay::devices::net {
namespace {

constexpr std::byte kOk{0};
constexpr std::byte kError{1};
constexpr std::size_t kCommandHeader = 2;
/// Longest command that is looked at; only tables of MAC addresses can be longer.
constexpr std::size_t kMostBytes = 4096;

enum CommandClass : std::uint8_t {
  kRx = 0,
  kMac = 1,
  kVlan = 2,
  kAnnounce = 3,
  kQueuePairs = 4,
  kOffloads = 5
};
enum ReceiveMode : std::uint8_t {
  kPromiscuous,
  kAllMulticast,
  kAllUnicast,
  kNoMulticast,
  kNoUnicast,
  kNoBroadcast
};

template <typename T>
std::optional<T> read(std::span<const std::byte> data) noexcept {
  if (data.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, data.data(), sizeof value);
  return value;
}

}  // namespace

void VirtioNet::serve_control() noexcept {
  if (!live() || !has_feature(kFeatureControlQueue)) return;
  std::visit([this](auto& ring) { serve_control(ring); }, control_);
}

template <typename Ring>
void VirtioNet::serve_control(Ring& ring) noexcept {
  // At most a ring full: a driver that adds commands as fast as they are served cannot hold us.
  for (unsigned left = ring.size(); left != 0; --left) {
    virtio::SegmentList segments;
    virtio::Chain chain;
    const virtio::PopStatus status = ring.pop(segments, chain);
    if (status == virtio::PopStatus::empty || status == virtio::PopStatus::broken) break;
    std::uint32_t written = 0;
    if (status == virtio::PopStatus::chain && chain.writable != 0) {
      std::array<std::byte, kMostBytes> copy;
      const std::size_t copied = std::min<std::uint64_t>(chain.readable_bytes, copy.size());
      SegmentCursor(segments.segments()).read(copy.data(), copied);
      const bool done = execute(std::span<const std::byte>(copy).first(copied), chain.readable_bytes);
      *segments[chain.readable].data = done ? kOk : kError;
      written = 1;
    }
    ring.complete(chain.id, written);
  }
  if (ring.flush()) raise_queue_interrupt(control_queue());
  if (ring.error() != virtio::RingError::none) return stop(ring.error());
  // The driver always notifies; what came in since the last look would be missed.
  if (ring.enable_notifications()) wake(0);
}

bool VirtioNet::execute(std::span<const std::byte> command, std::uint64_t bytes) noexcept {
  if (command.size() < kCommandHeader) return false;
  const auto group = std::to_integer<std::uint8_t>(command[0]);
  const auto number = std::to_integer<std::uint8_t>(command[1]);
  const std::span<const std::byte> data = command.subspan(kCommandHeader);
  const std::uint64_t data_bytes = bytes - kCommandHeader;
  switch (group) {
    case kRx: {
      const auto on = read<std::uint8_t>(data);
      return on && set_receive_mode(number, *on != 0);
    }
    case kMac:
      if (number == 0) return has_feature(kFeatureControlRx) && set_mac_tables(data, data_bytes);
      if (number == 1 && has_feature(kFeatureControlMac)) {
        const auto mac = read<MacAddress>(data);
        if (!mac || ((*mac)[0] & 1) != 0) return false;
        config_.mac = *mac;
        filter_.set_own(*mac);
        return true;
      }
      return false;
    case kVlan: {
      const auto id = read<std::uint16_t>(data);
      if (!has_feature(kFeatureControlVlan) || !id || *id >= 4096 || number > 1) return false;
      filter_.set_vlan(*id, number == 0);
      return true;
    }
    case kAnnounce:
      if (!has_feature(kFeatureAnnounce) || number != 0) return false;
      config_.status &= static_cast<std::uint16_t>(~kStatusAnnounce);
      return true;
    case kQueuePairs: {
      const auto pairs = read<std::uint16_t>(data);
      if (!has_feature(kFeatureMultiqueue) || number != 0 || !pairs || *pairs == 0 || *pairs > pair_count_)
        return false;
      active_pairs_ = *pairs;
      for (unsigned index = 0; index < active_pairs_; ++index) {
        if (lanes_[index].armed) want_notifications(index, true);
        wake(index);  // queues that join may hold chains already
      }
      return true;
    }
    case kOffloads: {
      const auto offloads = read<FeatureSet>(data);
      return has_feature(kFeatureControlOffloads) && number == 0 && offloads && set_guest_offloads(*offloads);
    }
    default:
      return false;
  }
}

bool VirtioNet::set_receive_mode(std::uint8_t mode, bool on) noexcept {
  if (!has_feature(mode <= kAllMulticast ? kFeatureControlRx : kFeatureControlRxExtra)) return false;
  FrameFilter::Modes& modes = filter_.modes();
  switch (mode) {
    case kPromiscuous:
      modes.promiscuous = on;
      return true;
    case kAllMulticast:
      modes.all_multicast = on;
      return true;
    case kAllUnicast:
      modes.all_unicast = on;
      return true;
    case kNoMulticast:
      modes.no_multicast = on;
      return true;
    case kNoUnicast:
      modes.no_unicast = on;
      return true;
    case kNoBroadcast:
      modes.no_broadcast = on;
      return true;
    default:
      return false;
  }
}

// struct virtio_net_ctrl_mac twice: a count and so many addresses, unicast first (5.1.6.5.2).
bool VirtioNet::set_mac_tables(std::span<const std::byte> data, std::uint64_t bytes) noexcept {
  constexpr std::uint64_t kCount = sizeof(std::uint32_t);
  const auto unicast = read<std::uint32_t>(data);
  if (!unicast) return false;
  const std::uint64_t unicast_bytes = std::uint64_t{*unicast} * sizeof(MacAddress);
  if (kCount + unicast_bytes + kCount > bytes) return false;
  if (bytes > data.size()) {
    // More than is told apart: all pass. The tables are only used to leave frames out.
    filter_.pass_all_addresses();
    return true;
  }
  const auto rest = data.subspan(kCount + unicast_bytes);
  const auto multicast = read<std::uint32_t>(rest);
  if (!multicast || kCount + std::uint64_t{*multicast} * sizeof(MacAddress) > rest.size()) return false;
  filter_.set_unicast(data.subspan(kCount, unicast_bytes));
  filter_.set_multicast(rest.subspan(kCount, *multicast * sizeof(MacAddress)));
  return true;
}

bool VirtioNet::set_guest_offloads(FeatureSet offloads) noexcept {
  // 5.1.6.5.6.1: "A driver MUST NOT enable an offload for which the appropriate feature has not been
  // negotiated."
  if ((offloads & ~(features() & kGuestOffloadFeatures)) != 0) return false;
  rules_.accepted = accepted_offloads(offloads);
  accepted_.store(offloads, std::memory_order_release);
  return true;
}

}  // namespace patchbay::devices::net
