#include "vswitch/capture/checksum.h"

#include <rte_ip.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace patchbay::vswitch::capture {
namespace {

/// The ones' complement sum (RFC 1071) of bytes that arrive in pieces of any length, as it lies in memory.
class InternetSum {
 public:
  void add(std::span<const std::byte> bytes) noexcept {
    std::uint16_t sum = rte_raw_cksum(bytes.data(), bytes.size());
    if (odd_) sum = static_cast<std::uint16_t>(sum << 8 | sum >> 8);  // the piece starts at an odd place
    sum_ += sum;
    odd_ ^= bytes.size() % 2 != 0;
  }
  [[nodiscard]] std::uint16_t folded() const noexcept {
    std::uint32_t sum = (sum_ & 0xFFFF) + (sum_ >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    return static_cast<std::uint16_t>(sum);
  }

 private:
  std::uint32_t sum_ = 0;  // kMaxPieces + 2 additions of 16 bits cannot overflow it
  bool odd_ = false;
};

/// Adds bytes [from, frame.length) of the frame's tail; from >= kHeaderBytes.
void add_tail(InternetSum& sum, const FrameView& frame, std::size_t from) noexcept {
  std::size_t start = kHeaderBytes;
  for (const Piece& piece : frame.tail) {
    const std::size_t skipped = std::min(piece.size(), from > start ? from - start : 0);
    sum.add(piece.subspan(skipped));
    start += piece.size();
  }
}

constexpr std::uint16_t kUdpChecksumOffset = 6;  // of the field in the header

}  // namespace

void complete_checksum(const FrameView& frame, std::span<std::byte> copy) noexcept {
  if ((frame.offload.flags & Offload::kNeedsChecksum) == 0) return;
  const std::size_t start = frame.offload.checksum_start;
  const std::size_t place = start + frame.offload.checksum_offset;
  if (place + sizeof(std::uint16_t) > copy.size()) return;

  // The field holds the sum of the pseudo-header, so summing it along with the rest is all there is to do.
  InternetSum sum;
  sum.add(copy.subspan(start));
  if (copy.size() < frame.length) {
    const std::span<const std::byte> header = frame.header_bytes();
    if (copy.size() < header.size()) sum.add(header.subspan(copy.size()));
    add_tail(sum, frame, std::max(copy.size(), kHeaderBytes));
  }
  auto checksum = static_cast<std::uint16_t>(~sum.folded());
  // Zero means "none" in UDP (RFC 768).
  if (checksum == 0 && frame.offload.checksum_offset == kUdpChecksumOffset) checksum = 0xFFFF;
  std::memcpy(copy.data() + place, &checksum, sizeof checksum);
}

}  // namespace patchbay::vswitch::capture
