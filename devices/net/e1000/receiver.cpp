#include "devices/net/e1000/receiver.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <utility>

#include "devices/net/e1000/statistics.h"
#include "vswitch/offload_set.h"

namespace patchbay::devices::net::e1000 {

using vswitch::DropReason;
using vswitch::FrameView;

namespace {

constexpr std::uint32_t kMaxStandardFrame = 1518;  // with a VLAN tag, without FCS (RCTL.LPE, 13.4.22)
constexpr std::uint32_t kMaxLongFrame = 16384 - kFcs;
constexpr std::size_t kMaxDescriptorsPerFrame = 16384 / 256 + 1;

/// Writes everything but the status, then the status: a driver polls for DD (3.2.3.1).
void store(std::byte* ring, std::uint32_t index, const RxDescriptor& descriptor) {
  std::byte* const target = ring + std::size_t{index} * sizeof descriptor;
  std::memcpy(target + offsetof(RxDescriptor, length), &descriptor.length, 2 * sizeof(std::uint16_t));
  std::memcpy(target + offsetof(RxDescriptor, errors), &descriptor.errors,
              sizeof descriptor.errors + sizeof descriptor.special);
  std::atomic_thread_fence(std::memory_order_release);
  auto* const status = reinterpret_cast<unsigned char*>(target + offsetof(RxDescriptor, status));
  std::atomic_ref<unsigned char>(*status).store(descriptor.status, std::memory_order_relaxed);
}

unsigned octet(const FrameView& frame, std::size_t i) {
  return std::to_integer<unsigned>(frame.header[i]);
}

/// True if the header copy holds an IPv4 header at `offset` whose checksum is right.
bool ipv4_checksum_good(const FrameView& frame, std::size_t offset) {
  const std::size_t available = frame.header_bytes().size();
  if (offset + 20 > available || (octet(frame, offset) >> 4) != 4) return false;
  const std::size_t header = (octet(frame, offset) & 0xF) * 4u;
  if (header < 20 || offset + header > available) return false;
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < header; i += 2)
    sum += (octet(frame, offset + i) << 8) | octet(frame, offset + i + 1);
  while (sum > 0xFFFF)
    sum = (sum & 0xFFFF) + (sum >> 16);
  return sum == 0xFFFF;
}

/// Runs over the bytes of a frame, header copy first, without the VLAN tag if that is stripped; then over
/// zeros.
class FrameReader {
 public:
  FrameReader(const FrameView& frame, bool skip_tag) noexcept : frame_(frame) {
    const auto header = frame.header_bytes();
    if (skip_tag) {
      first_ = header.first(kMacAddresses);
      current_ = first_;
      second_ = header.subspan(kMacAddresses + kVlanTag);
    } else {
      current_ = header;
    }
  }

  void copy(std::byte* destination, std::size_t bytes) noexcept {
    while (bytes > 0) {
      while (current_.empty() && advance()) {
      }
      if (current_.empty()) {
        std::memset(destination, 0, bytes);
        return;
      }
      const std::size_t n = std::min(bytes, current_.size());
      // The guest may receive into what it sends: in loop-back, or from another card of its own.
      std::memmove(destination, current_.data(), n);
      current_ = current_.subspan(n);
      destination += n;
      bytes -= n;
    }
  }

 private:
  bool advance() noexcept {
    if (!second_.empty()) {
      current_ = second_;
      second_ = {};
      return true;
    }
    if (next_piece_ == frame_.tail.size()) return false;
    current_ = frame_.tail[next_piece_++];
    return true;
  }

  const FrameView& frame_;
  std::span<const std::byte> current_, first_, second_;
  std::size_t next_piece_ = 0;
};

}  // namespace

std::uint32_t Receiver::buffer_size() const noexcept {
  // RCTL.BSIZE and BSEX (13.4.22). The combination 0 with BSEX is reserved; it is taken as without.
  constexpr std::array<std::uint32_t, 4> kPlain{2048, 1024, 512, 256};
  const std::uint32_t size = kPlain[(control >> rctl::kBufferSizeShift) & 3];
  return (control & rctl::kBufferExtension) != 0 && size != 2048 ? size * 16 : size;
}

bool Receiver::ready() const noexcept {
  return (control & rctl::kEnable) != 0 && ring_size() != 0 && head < ring_size() && tail < ring_size();
}

std::uint32_t Receiver::available() const noexcept {
  const std::uint32_t size = ring_size();
  return (tail + size - head) % size;  // equal means empty (13.4.28)
}

/// RCTL.RDMTS: free descriptors fell to 1/2, 1/4 or 1/8 of the ring.
bool Receiver::nearly_empty() const noexcept {
  return available() <= ring_size() >> (((control >> rctl::kThresholdShift) & 3) + 1);
}

std::optional<DropReason> Receiver::inspect(const FrameView& frame, const Environment& environment,
                                            Arrival& arrival) const noexcept {
  if (frame.length < kEthernetHeader) return DropReason::too_short;
  // The card has no way to tell its driver of unfinished work; the switch finishes it first.
  if (!vswitch::OffloadSet{}.covers(frame.offload)) return DropReason::bad_offload;
  if (!environment.filter.accepts(frame.header_bytes(), control, environment.vlan_type))
    return DropReason::filtered;
  if (frame.length > ((control & rctl::kLongPackets) != 0 ? kMaxLongFrame : kMaxStandardFrame)) {
    environment.statistics.oversize();
    return DropReason::too_long;
  }

  arrival.length = std::max(frame.length, kMinFrame);
  const unsigned outer_type = (octet(frame, 12) << 8) | octet(frame, 13);
  std::size_t network_header = kEthernetHeader;
  unsigned type = outer_type;
  if (outer_type == (environment.vlan_type & 0xFFFF) && frame.length >= kEthernetHeader + kVlanTag) {
    network_header += kVlanTag;
    type = (octet(frame, 16) << 8) | octet(frame, 17);
    if (environment.vlan_stripping) {
      arrival.stripped = true;
      arrival.status |= rx_status::kVlan;
      arrival.vlan_tag = static_cast<std::uint16_t>((octet(frame, 14) << 8) | octet(frame, 15));
      arrival.length = std::max(frame.length - kVlanTag, kMinFrame);
    }
  }

  // A checksum is claimed only if it was verified: Linux believes the card. It turns on TUOFL alone.
  constexpr unsigned kIpv4 = 0x0800;
  if ((checksum_control & rxcsum::kIpOffload) != 0 && type == kIpv4 &&
      ipv4_checksum_good(frame, network_header)) {
    arrival.status |= rx_status::kIpChecksum;
  }
  if ((checksum_control & rxcsum::kTcpOffload) != 0 &&
      (frame.offload.flags & vswitch::Offload::kDataValid) != 0) {
    arrival.status |= rx_status::kTcpChecksum;
  }
  if ((arrival.status & (rx_status::kIpChecksum | rx_status::kTcpChecksum)) == 0)
    arrival.status |= rx_status::kIgnoreChecksum;
  return std::nullopt;
}

bool Receiver::write(const FrameView& frame, const Arrival& arrival, std::uint32_t descriptors,
                     std::byte* ring, const GuestMemory& memory) noexcept {
  const std::uint32_t size = ring_size();
  const std::uint32_t buffer = buffer_size();
  // All buffers are checked before any is written; as far as they will be: drivers whose longest frame is shorter than
  // the smallest buffer size that fits it allocate less than that, at the end of memory too.
  std::array<RxDescriptor, kMaxDescriptorsPerFrame> copies;
  std::array<std::byte*, kMaxDescriptorsPerFrame> targets;
  for (std::uint32_t i = 0; i < descriptors; ++i) {
    copies[i] = load_descriptor<RxDescriptor>(ring, (head + i) % size);
    const std::uint32_t before = i * buffer;
    const std::uint32_t bytes = arrival.length > before ? std::min(arrival.length - before, buffer) : 0;
    targets[i] = memory.translate(copies[i].address, std::max(bytes, 1u));
    if (targets[i] == nullptr) return false;
  }

  FrameReader reader(frame, arrival.stripped);
  const std::uint32_t fcs = (control & rctl::kStripCrc) != 0 ? 0 : kFcs;
  std::uint32_t data_left = arrival.length;
  std::uint32_t reported_left = arrival.length + fcs;
  for (std::uint32_t i = 0; i < descriptors; ++i) {
    const std::uint32_t bytes = std::min(data_left, buffer);
    reader.copy(targets[i], bytes);
    data_left -= bytes;
    const std::uint32_t reported = std::min(reported_left, buffer);
    reported_left -= reported;
    const bool last = i + 1 == descriptors;
    RxDescriptor& descriptor = copies[i];
    descriptor.length = static_cast<std::uint16_t>(reported);
    descriptor.checksum = 0;
    descriptor.errors = 0;
    descriptor.special = last ? arrival.vlan_tag : std::uint16_t{0};
    descriptor.status = static_cast<std::uint8_t>(
        rx_status::kDone | (last ? rx_status::kEndOfPacket | arrival.status : rx_status::kIgnoreChecksum));
    store(ring, (head + i) % size, descriptor);
  }
  return true;
}

Receiver::Result Receiver::push(std::span<const FrameView* const> frames,
                                const Environment& environment) noexcept {
  Result result;
  std::byte* const ring = ready()
                              ? environment.memory.translate(
                                    (std::uint64_t{base_high} << 32) | (base_low & ~0xFu), length & ~0x7Fu)
                              : nullptr;
  if (ring == nullptr) {
    environment.counters.out.drop(DropReason::not_ready, frames.size());
    result.handled = frames.size();
    return result;
  }

  for (const FrameView* frame : frames) {
    Arrival arrival;
    if (const auto drop = inspect(*frame, environment, arrival)) {
      environment.counters.out.drop(*drop);
      ++result.handled;
      continue;
    }
    const std::uint32_t reported = arrival.length + ((control & rctl::kStripCrc) != 0 ? 0 : kFcs);
    const std::uint32_t needed = (reported + buffer_size() - 1) / buffer_size();
    if (needed > available()) {
      // The caller may come again with the same frames: one interrupt for the drought.
      environment.statistics.missed_no_buffer(static_cast<std::uint32_t>(frames.size() - result.handled));
      if (!std::exchange(dry_, true)) result.causes |= cause::kRxOverrun;
      break;
    }
    dry_ = false;
    const bool plenty = !nearly_empty();
    if (write(*frame, arrival, needed, ring, environment.memory)) {
      const bool group = (octet(*frame, 0) & 1) != 0;
      const bool broadcast = std::all_of(frame->header.begin(), frame->header.begin() + 6,
                                         [](std::byte b) { return b == std::byte{0xFF}; });
      environment.statistics.received(arrival.length, group, broadcast);
      environment.counters.out.delivered.add();
      environment.counters.out.bytes.add(frame->length);
    } else {
      // A buffer outside memory: the descriptors come back empty and in error, and the card goes on behind
      // them.
      for (std::uint32_t i = 0; i < needed; ++i) {
        RxDescriptor descriptor{};
        descriptor.status = rx_status::kDone | rx_status::kEndOfPacket;
        descriptor.errors = 0x80;  // RXE
        store(ring, (head + i) % ring_size(), descriptor);
      }
      environment.counters.out.drop(DropReason::malformed);
    }
    head = (head + needed) % ring_size();
    result.received = true;
    ++result.handled;
    if (plenty && nearly_empty()) result.causes |= cause::kRxThreshold;
  }
  return result;
}

}  // namespace patchbay::devices::net::e1000
