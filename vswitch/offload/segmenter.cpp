#include "vswitch/offload/segmenter.h"

#include <algorithm>
#include <cstring>

#include "vswitch/offload/internet_checksum.h"

namespace patchbay::vswitch::offload {
namespace {

// Offsets in the headers (RFC 791, 8200, 9293, 768).
constexpr std::size_t kIpv4Length = 2;
constexpr std::size_t kIpv4Id = 4;
constexpr std::size_t kIpv4Checksum = 10;
constexpr std::size_t kIpv6PayloadLength = 4;
constexpr std::size_t kTcpSequence = 4;
constexpr std::size_t kTcpFlags = 13;
constexpr std::size_t kUdpLength = 4;
constexpr std::byte kFin{0x01};
constexpr std::byte kPush{0x08};
constexpr std::byte kCongestionWindowReduced{0x80};

std::uint32_t get_big(const std::byte* at, std::size_t bytes) noexcept {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i)
    value = value << 8 | std::to_integer<std::uint32_t>(at[i]);
  return value;
}

void put_big(std::byte* at, std::size_t bytes, std::size_t value) noexcept {
  for (std::size_t i = 0; i < bytes; ++i)
    at[i] = static_cast<std::byte>(value >> (8 * (bytes - 1 - i)));
}

void put_sum(std::byte* at, std::uint16_t value) noexcept {
  std::memcpy(at, &value, sizeof value);
}

}  // namespace

void complete_checksum(FrameView& frame) noexcept {
  const Offload offload = frame.offload;
  frame.offload = {};
  frame.offload.flags = offload.flags & static_cast<std::uint8_t>(~Offload::kNeedsChecksum);
  if ((offload.flags & Offload::kNeedsChecksum) == 0) return;
  // The field holds the sum of the pseudo-header, so summing it along with the rest is all there is to do.
  InternetSum sum;
  sum.add(frame.header_bytes().subspan(offload.checksum_start));
  for (const Piece& piece : frame.tail)
    sum.add(piece);
  put_sum(&frame.header[std::size_t{offload.checksum_start} + offload.checksum_offset],
          sum.transport_checksum(offload.checksum_offset == kUdpChecksum));
}

void Segmenter::start(const FrameView& frame, const SegmentationPlan& plan, std::uint32_t first) noexcept {
  frame_ = &frame;
  plan_ = plan;
  next_ = std::min(first, plan.segments);
  piece_ = 0;
  rest_ = frame.header_bytes().subspan(plan.header_bytes);
  payload_left_ = plan.payload_bytes;
  skip(std::min<std::size_t>(payload_left_, std::size_t{next_} * plan.segment_bytes));
}

void Segmenter::skip(std::size_t bytes) noexcept {
  payload_left_ -= bytes;
  while (bytes != 0) {
    if (rest_.empty()) rest_ = frame_->tail[piece_++];
    const std::size_t n = std::min(bytes, rest_.size());
    rest_ = rest_.subspan(n);
    bytes -= n;
  }
}

void Segmenter::take(FrameView& segment, std::span<Piece, kMaxPieces> pieces, std::size_t bytes,
                     std::size_t& used) noexcept {
  std::size_t at = plan_.header_bytes;
  payload_left_ -= bytes;
  while (bytes != 0) {
    if (rest_.empty()) {
      rest_ = frame_->tail[piece_++];
      continue;
    }
    std::size_t n = std::min(bytes, rest_.size());
    if (at < kHeaderBytes) {
      n = std::min(n, kHeaderBytes - at);
      std::memcpy(&segment.header[at], rest_.data(), n);
      at += n;
    } else {
      pieces[used++] = rest_.first(n);
    }
    rest_ = rest_.subspan(n);
    bytes -= n;
  }
}

void Segmenter::append_next(Burst& batch) noexcept {
  const std::size_t payload = std::min<std::size_t>(plan_.segment_bytes, payload_left_);
  FrameView& segment = batch.next();
  const std::span<Piece, kMaxPieces> pieces = batch.next_pieces();
  std::memcpy(segment.header.data(), frame_->header.data(), plan_.header_bytes);
  segment.length = static_cast<std::uint32_t>(plan_.header_bytes + payload);
  segment.offload = {};
  segment.offload.flags = Offload::kDataValid;  // computed below: a card may tell its guest so
  std::size_t used = 0;
  take(segment, pieces, payload, used);
  patch_headers(segment, payload, pieces.first(used));
  batch.commit(used);
  segment.id = frame_->id == 0 ? 0 : frame_->id + next_;
  ++next_;
}

void Segmenter::patch_headers(FrameView& segment, std::size_t payload, std::span<const Piece> tail) noexcept {
  std::byte* const network = &segment.header[plan_.network];
  std::byte* const transport = &segment.header[plan_.transport];
  const std::size_t transport_bytes = std::size_t{plan_.header_bytes} - plan_.transport + payload;
  const std::size_t ip_bytes = std::size_t{plan_.header_bytes} - plan_.network + payload;
  if (plan_.ipv6) {
    put_big(network + kIpv6PayloadLength, 2, ip_bytes - kIpv6Header);
  } else {
    put_big(network + kIpv4Length, 2, ip_bytes);
    // RFC 6864 leaves the field of DF packets free; counting up is what cards and Linux do, and right without
    // DF.
    put_big(network + kIpv4Id, 2, get_big(network + kIpv4Id, 2) + next_);
    put_sum(network + kIpv4Checksum, 0);
    const std::size_t header = std::size_t{plan_.transport} - plan_.network;
    put_sum(network + kIpv4Checksum, static_cast<std::uint16_t>(~sum_words({network, header})));
  }

  std::size_t checksum = kUdpChecksum;
  if (plan_.udp) {
    put_big(transport + kUdpLength, 2, transport_bytes);
  } else {
    checksum = kTcpChecksum;
    put_big(transport + kTcpSequence, 4,
            get_big(transport + kTcpSequence, 4) + std::size_t{next_} * plan_.segment_bytes);
    // FIN and PSH belong to the last byte; CWR answers one congestion signal once (RFC 3168, 6.1.2).
    if (next_ + 1 != plan_.segments) transport[kTcpFlags] &= ~(kFin | kPush);
    if (next_ != 0) transport[kTcpFlags] &= ~kCongestionWindowReduced;
  }
  put_sum(transport + checksum, 0);
  InternetSum sum(plan_.pseudo_sum);
  sum.add_field(static_cast<std::uint16_t>(transport_bytes));
  sum.add(segment.header_bytes().subspan(plan_.transport));
  for (const Piece& piece : tail)
    sum.add(piece);
  put_sum(transport + checksum, sum.transport_checksum(plan_.udp));
}

}  // namespace patchbay::vswitch::offload
