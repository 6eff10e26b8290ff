// Frames as they pass through the switch: views of memory that belongs to the source port.
//
// A FrameView holds a private copy of the first bytes of a frame and refers to the rest in place. Everything
// that looks at a header (bridge, filter, checksum) looks at the copy, and the copy is what the destination
// receives, so a guest that rewrites its buffers meanwhile cannot make the switch parse one thing and deliver
// another.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace patchbay::vswitch {

/// Bytes of an Ethernet header, and of an 802.1Q tag in it.
inline constexpr std::uint32_t kEthernetHeader = 14, kVlanTag = 4;
/// Frames that one pull delivers at most.
inline constexpr std::size_t kBurstFrames = 64;
/// Bytes at the start of each frame that are copied out of the source's memory.
inline constexpr std::size_t kHeaderBytes = 128;
/// Pieces that the rest of one frame may be scattered over. Linux needs 19 for a 64 KiB TSO frame.
inline constexpr std::size_t kMaxPieces = 64;
/// Longest frame: a 64 KiB TSO frame with Ethernet and VLAN headers.
inline constexpr std::size_t kMaxFrameBytes = 65562;

/// Contiguous bytes in the source port's memory. Guests may change them at any time: copy, never parse.
using Piece = std::span<const std::byte>;

/// Work that the sender left to the wire; the fields of struct virtio_net_hdr (Virtio 1.2, 5.1.6) in host
/// byte order. All zero: the frame is complete as it stands.
struct Offload {
  static constexpr std::uint8_t kNeedsChecksum = 1;  // VIRTIO_NET_HDR_F_NEEDS_CSUM
  static constexpr std::uint8_t kDataValid = 2;      // VIRTIO_NET_HDR_F_DATA_VALID
  static constexpr std::uint8_t kGsoNone = 0;
  static constexpr std::uint8_t kGsoTcp4 = 1;
  static constexpr std::uint8_t kGsoUdp = 3;
  static constexpr std::uint8_t kGsoTcp6 = 4;
  static constexpr std::uint8_t kGsoUdpL4 = 5;
  static constexpr std::uint8_t kGsoEcn = 0x80;

  std::uint8_t flags = 0;
  std::uint8_t gso_type = kGsoNone;
  std::uint16_t header_length = 0;    // bytes before the payload of each segment (a hint, never trusted)
  std::uint16_t gso_size = 0;         // payload bytes of each segment
  std::uint16_t checksum_start = 0;   // offset in the frame where summing begins
  std::uint16_t checksum_offset = 0;  // offset from there of the 16-bit result
};

struct FrameView {
  std::uint32_t length = 0;  // whole frame in bytes, without FCS; > 0
  std::uint64_t id = 0;      // the same at every capture point that sees this frame; 0 where nobody captures
  Offload offload;
  std::span<const Piece> tail;  // bytes [kHeaderBytes, length); empty for frames that fit in the header copy
  alignas(64) std::array<std::byte, kHeaderBytes> header;  // bytes [0, min(length, kHeaderBytes))

  [[nodiscard]] std::span<const std::byte> header_bytes() const noexcept {
    return std::span(header).first(std::min<std::size_t>(length, kHeaderBytes));
  }
};

/// Frames of one pull, with the storage for their pieces. Owned by the worker, reused for every pull; large,
/// so never on a small stack.
class Burst {
 public:
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] FrameView& operator[](std::size_t i) noexcept { return frames_[i]; }
  [[nodiscard]] const FrameView& operator[](std::size_t i) const noexcept { return frames_[i]; }
  [[nodiscard]] std::span<FrameView> frames() noexcept { return std::span(frames_).first(size_); }
  /// The owner's access to one of its frames; precondition: `frame` is in this burst.
  [[nodiscard]] FrameView& own(const FrameView& frame) noexcept {
    return frames_[static_cast<std::size_t>(&frame - frames_.data())];
  }

  void clear() noexcept { size_ = pieces_used_ = 0; }
  /// True while another frame of up to kMaxPieces pieces fits.
  [[nodiscard]] bool has_room() const noexcept {
    return size_ < kBurstFrames && pieces_used_ + kMaxPieces <= pieces_.size();
  }
  /// Where the pieces of the next frame go; precondition: has_room().
  [[nodiscard]] std::span<Piece, kMaxPieces> next_pieces() noexcept {
    return std::span(pieces_).subspan(pieces_used_).first<kMaxPieces>();
  }
  /// The frame that commit() adds; precondition: has_room(). The caller fills length, offload and header.
  [[nodiscard]] FrameView& next() noexcept { return frames_[size_]; }
  /// The same for several frames at once: frames behind those in the burst, and places for their pieces. The
  /// caller fills them from the front, `tail` and `id` included, and adds them with commit_all().
  [[nodiscard]] std::span<FrameView> free_frames() noexcept { return std::span(frames_).subspan(size_); }
  [[nodiscard]] std::span<Piece> free_pieces() noexcept { return std::span(pieces_).subspan(pieces_used_); }
  void commit_all(std::size_t frames, std::size_t pieces) noexcept {
    size_ += frames;
    pieces_used_ += pieces;
  }
  /// Adds next() with the first `pieces` of next_pieces() as its tail.
  void commit(std::size_t pieces) noexcept {
    frames_[size_].tail = std::span<const Piece>(pieces_).subspan(pieces_used_, pieces);
    frames_[size_].id = 0;
    pieces_used_ += pieces;
    ++size_;
  }

 private:
  std::size_t size_ = 0;
  std::size_t pieces_used_ = 0;
  std::array<FrameView, kBurstFrames> frames_;
  std::array<Piece, 16 * kMaxPieces> pieces_;
};

}  // namespace patchbay::vswitch
