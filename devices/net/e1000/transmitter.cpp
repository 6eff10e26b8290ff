#include "devices/net/e1000/transmitter.h"

#include <algorithm>
#include <cstring>

#include "devices/net/e1000/statistics.h"
#include "devices/net/e1000/transmit_offload.h"

namespace patchbay::devices::net::e1000 {

using vswitch::DropReason;
using vswitch::kHeaderBytes;

namespace {

/// A pull that finds nothing but context and empty descriptors ends after so many of them.
constexpr std::uint32_t kDescriptorsPerPull = 4096;

}  // namespace

/// The packet while its descriptors are walked.
struct Transmitter::Gathered {
  vswitch::FrameView& view;
  std::span<vswitch::Piece, vswitch::kMaxPieces> pieces;
  std::span<std::byte, 4> slot;  // for bytes that a VLAN tag displaces
  std::size_t piece_count = 0;
  std::uint32_t length = 0;

  /// Adds guest memory [data, data + size). False if the packet is longer or has more pieces than any sane
  /// one.
  bool append(const std::byte* data, std::uint32_t size) noexcept {
    if (size > vswitch::kMaxFrameBytes - length) return false;
    if (length < kHeaderBytes) {
      const std::uint32_t copied = std::min(size, static_cast<std::uint32_t>(kHeaderBytes) - length);
      std::memcpy(view.header.data() + length, data, copied);
      length += copied;
      data += copied;
      size -= copied;
    }
    if (size == 0) return true;
    length += size;
    if (piece_count != 0 && std::to_address(pieces[piece_count - 1].end()) == data) {
      // Linux cuts its fragments at 4 KiB (and at the last 4 bytes): mend that.
      pieces[piece_count - 1] = {pieces[piece_count - 1].data(), pieces[piece_count - 1].size() + size};
      return true;
    }
    if (piece_count == pieces.size()) return false;
    pieces[piece_count++] = {data, size};
    return true;
  }
  bool prepend_piece(vswitch::Piece piece) noexcept {
    if (piece_count == pieces.size()) return false;
    std::move_backward(pieces.begin(), pieces.begin() + static_cast<std::ptrdiff_t>(piece_count),
                       pieces.begin() + static_cast<std::ptrdiff_t>(piece_count) + 1);
    pieces[0] = piece;
    ++piece_count;
    return true;
  }
  void trim_end(std::uint32_t size) noexcept {
    length -= size;
    while (size > 0 && piece_count > 0) {
      vswitch::Piece& last = pieces[piece_count - 1];
      const auto cut = std::min<std::size_t>(size, last.size());
      last = last.first(last.size() - cut);
      size -= static_cast<std::uint32_t>(cut);
      if (last.empty()) --piece_count;
    }
  }
};

std::byte* Transmitter::ring(const GuestMemory& memory) const noexcept {
  // 13.4.36, .38: base 16-byte aligned, length a multiple of 128.
  const std::uint64_t base = (std::uint64_t{base_high} << 32) | (base_low & ~0xFu);
  return memory.translate(base, length & ~0x7Fu);
}

bool Transmitter::queued() const noexcept {
  return (control & tctl::kEnable) != 0 && ring_size() != 0 && head < ring_size() && tail < ring_size() &&
         head != tail;
}

bool Transmitter::has_work() const noexcept {
  return queued() && unfinished_at_ != tail;
}

Transmitter::Causes Transmitter::pull(vswitch::Burst& burst, const Environment& environment) noexcept {
  packet_count_ = 0;
  Causes causes;
  if (!queued()) return causes;
  std::byte* const descriptors = ring(environment.memory);
  if (descriptors == nullptr) return causes;

  unfinished_at_.reset();
  Contexts contexts = contexts_;
  std::uint32_t index = head;
  const std::uint32_t size = ring_size();
  const std::uint32_t limit = std::min(kDescriptorsPerPull, size);
  while (index != tail && burst.has_room() && packet_count_ < packets_.size() &&
         (index + size - head) % size < limit) {
    Packet packet;
    if (!gather(index, descriptors, burst, environment, contexts, packet)) {
      if (packet_count_ == 0) unfinished_at_ = tail;
      break;
    }
    if (packet.drop) {
      environment.counters.in.frames.add();
      environment.counters.in.bytes.add(packet.length);
      environment.counters.in.drop(*packet.drop);
    }
    index = packet.end;
    packets_[packet_count_++] = packet;
  }

  // Packets without a frame in front of them have nothing to wait for.
  const auto begin = packets_.begin();
  const auto end = begin + static_cast<std::ptrdiff_t>(packet_count_);
  const auto first_good = std::find_if(begin, end, [](const Packet& packet) { return packet.good; });
  for (auto packet = begin; packet != first_good; ++packet)
    complete(*packet, descriptors, causes);
  packet_count_ = static_cast<std::size_t>(std::move(first_good, end, begin) - begin);
  return causes;
}

bool Transmitter::gather(std::uint32_t start, const std::byte* descriptors, vswitch::Burst& burst,
                         const Environment& environment, Contexts& contexts, Packet& packet) noexcept {
  const std::uint32_t size = ring_size();
  Gathered gathered{burst.next(), burst.next_pieces(), displaced_[burst.size()]};
  Options options;
  TxDescriptor descriptor{};
  std::uint32_t index = start;
  for (bool in_packet = false;;) {
    if (index == tail) {
      packet.end = index;
      packet.contexts = contexts;
      if (!in_packet) return true;  // nothing but contexts: they complete on their own
      // The end of the packet is not there yet; but a full ring without an end never gets one.
      if ((index + size - start) % size + 1 < size) return false;
      packet.length = gathered.length;
      packet.drop = DropReason::malformed;
      return true;
    }
    descriptor = load_descriptor<TxDescriptor>(descriptors, index);
    index = index + 1 == size ? 0 : index + 1;

    const bool extended = (descriptor.lower & tx_command::kExtended) != 0;
    if (extended && (descriptor.lower & kTxTypeMask) == kTxTypeContext) {
      const bool segmentation = (descriptor.lower & tx_command::kSegment) != 0;
      (segmentation ? contexts.segmentation : contexts.checksum) = Context::parse(descriptor);
      continue;
    }
    if (!in_packet) {
      in_packet = true;
      options.extended = extended;
      options.segment = extended && (descriptor.lower & tx_command::kSegment) != 0;
      options.checksums = extended ? static_cast<std::uint8_t>(descriptor.upper >> 8) : std::uint8_t{0};
    } else if (extended != options.extended) {
      packet.drop = DropReason::malformed;
    }
    const std::uint32_t bytes = descriptor.lower & (extended ? 0xFFFFFu : 0xFFFFu);
    if (bytes != 0 && !packet.drop) {
      const std::byte* data = environment.memory.translate(descriptor.address, bytes);
      if (data == nullptr || !gathered.append(data, bytes)) packet.drop = DropReason::malformed;
    }
    if ((descriptor.lower & tx_command::kEndOfPacket) != 0) break;
  }

  packet.end = index;
  packet.contexts = contexts;
  if (!packet.drop) packet.drop = finish(gathered, descriptor, options, contexts, environment);
  if (!packet.drop && !environment.link_up) packet.drop = DropReason::link_down;
  packet.length = gathered.length;
  if (packet.drop) return true;

  const vswitch::FrameView& view = gathered.view;
  packet.good = true;
  packet.segmented = options.segment;
  packet.length = view.length;
  packet.segment_bytes = view.offload.gso_size;
  packet.header_bytes = view.offload.header_length;
  packet.multicast = (std::to_integer<unsigned>(view.header[0]) & 1) != 0;
  packet.broadcast = std::all_of(view.header.begin(), view.header.begin() + 6,
                                 [](std::byte b) { return b == std::byte{0xFF}; });
  burst.commit(gathered.piece_count);
  return true;
}

std::optional<DropReason> Transmitter::finish(Gathered& gathered, const TxDescriptor& last,
                                              const Options& options, const Contexts& contexts,
                                              const Environment& environment) noexcept {
  // Without IFCS the packet brings its own FCS, which the switch does not carry.
  if ((last.lower & tx_command::kInsertFcs) == 0) {
    if (gathered.length < kFcs) return DropReason::too_short;
    gathered.trim_end(kFcs);
  }
  if (gathered.length < kEthernetHeader) return DropReason::too_short;

  vswitch::FrameView& view = gathered.view;
  view.length = gathered.length;
  view.offload = {};
  if (options.extended) {
    OffloadRequest request = (options.segment ? contexts.segmentation : contexts.checksum).request;
    request.insert_ip_checksum = (options.checksums & kInsertIpChecksum) != 0;
    request.insert_tcp_checksum = (options.checksums & kInsertTcpChecksum) != 0;
    const bool sane =
        options.segment ? request_segmentation(request, view) : request_checksums(request, view);
    if (!sane) return DropReason::bad_offload;
  } else if ((last.lower & tx_command::kInsertChecksum) != 0) {
    const auto start = static_cast<std::uint8_t>(last.upper >> 8);
    const auto result = static_cast<std::uint8_t>(last.lower >> 16);
    if (!request_checksum(start, result, 0, view)) return DropReason::bad_offload;
  }

  // The tag comes from the last descriptor (3.3.3.1).
  if (environment.vlan_insertion && (last.lower & tx_command::kVlan) != 0) {
    const std::size_t displaced =
        insert_vlan_tag(static_cast<std::uint16_t>(environment.vlan_type),
                        static_cast<std::uint16_t>(last.upper >> 16), view, gathered.slot);
    if (displaced > 0 && !gathered.prepend_piece(gathered.slot.first(displaced)))
      return DropReason::malformed;
  }
  if (view.length < kMinFrame) {
    std::memset(view.header.data() + view.length, 0, kMinFrame - view.length);
    view.length = kMinFrame;
  }
  return std::nullopt;
}

Transmitter::Context Transmitter::Context::parse(const TxDescriptor& descriptor) noexcept {
  Context context;
  OffloadRequest& request = context.request;
  request.ip_start = static_cast<std::uint8_t>(descriptor.address);
  request.ip_offset = static_cast<std::uint8_t>(descriptor.address >> 8);
  request.ip_end = static_cast<std::uint16_t>(descriptor.address >> 16);
  request.tcp_start = static_cast<std::uint8_t>(descriptor.address >> 32);
  request.tcp_offset = static_cast<std::uint8_t>(descriptor.address >> 40);
  request.tcp_end = static_cast<std::uint16_t>(descriptor.address >> 48);
  request.header_length = static_cast<std::uint8_t>(descriptor.upper >> 8);
  request.segment_size = static_cast<std::uint16_t>(descriptor.upper >> 16);
  request.tcp = (descriptor.lower & kContextTcp) != 0;
  request.ipv4 = (descriptor.lower & kContextIpv4) != 0;
  return context;
}

void Transmitter::complete(const Packet& packet, std::byte* descriptors, Causes& causes) noexcept {
  contexts_ = packet.contexts;
  const std::uint32_t size = ring_size();
  if (packet.end >= size) return;  // the guest shortened the ring meanwhile
  for (std::uint32_t guard = 0; head != packet.end && guard < size; ++guard) {
    TxDescriptor descriptor = load_descriptor<TxDescriptor>(descriptors, head);
    if ((descriptor.lower & (tx_command::kReportStatus | tx_command::kReportSent)) != 0) {
      descriptor.upper |= kTxDone;
      std::byte* const status =
          descriptors + std::size_t{head} * sizeof descriptor + offsetof(TxDescriptor, upper);
      *status = static_cast<std::byte>(descriptor.upper & 0xFF);
      const bool delay = (descriptor.lower & tx_command::kDelay) != 0;
      (delay ? causes.delayed : causes.now) |= cause::kTxDescriptorWritten;
    }
    head = head + 1 >= size ? 0 : head + 1;
  }
  if (head == tail) causes.now |= cause::kTxQueueEmpty;
}

void Transmitter::count(const Packet& packet, Statistics& statistics) noexcept {
  const auto sent = [&](std::uint32_t frame_bytes, std::uint32_t frames) {
    statistics.transmitted(frame_bytes, frames, packet.multicast, packet.broadcast);
  };
  if (packet.segmented) statistics.segmentation_context_used();
  if (packet.segment_bytes == 0) return sent(packet.length, 1);
  // The card's counters are those of the wire (13.7).
  const std::uint32_t payload = packet.length - packet.header_bytes;
  const std::uint32_t full = payload / packet.segment_bytes;
  const std::uint32_t rest = payload % packet.segment_bytes;
  if (full != 0) sent(std::uint32_t{packet.header_bytes} + packet.segment_bytes, full);
  if (rest != 0) sent(packet.header_bytes + rest, 1);
}

Transmitter::Causes Transmitter::release(std::size_t consumed, const Environment& environment) noexcept {
  Causes causes;
  std::byte* const descriptors = ring(environment.memory);
  std::size_t i = 0;
  if (descriptors != nullptr && head < ring_size()) {
    for (; i < packet_count_; ++i) {
      const Packet& packet = packets_[i];
      if (packet.good) {
        if (consumed == 0) break;
        --consumed;
        count(packet, environment.statistics);
      }
      complete(packet, descriptors, causes);
    }
  }
  packet_count_ = 0;
  return causes;
}

}  // namespace patchbay::devices::net::e1000
