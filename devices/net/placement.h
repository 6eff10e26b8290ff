// Frames and the guest buffers that were chosen for them. Choosing needs the ring, and so its lock; carrying
// the plan out touches only the frames and the buffers, which are most of the time and need none.
//
// Some 8 KiB, on the stack of the worker that pushes. One thread at a time.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "devices/net/net_header.h"
#include "devices/net/segment_cursor.h"
#include "devices/virtio/ring.h"
#include "vswitch/frame.h"

namespace patchbay::devices::net {

class Placement {
 public:
  struct Single {
    const vswitch::FrameView* frame;
    std::byte* buffer;
  };

  void clear() noexcept {
    single_count_ = scattered_count_ = 0;
    segments_.clear();
  }
  [[nodiscard]] bool empty() const noexcept { return single_count_ + scattered_count_ == 0; }
  /// Frames that still fit.
  [[nodiscard]] std::size_t room() const noexcept {
    return vswitch::kBurstFrames - single_count_ - scattered_count_;
  }

  /// Places for complete frames that each go into one buffer with room for them and the header: the caller
  /// fills them from the front, and commits them.
  [[nodiscard]] std::span<Single> free_singles() noexcept {
    return std::span(singles_).subspan(single_count_, room());
  }
  void commit_singles(std::size_t count) noexcept { single_count_ += count; }
  /// A frame into the elements of segments() from `first` on. Precondition: room() != 0.
  void add(const vswitch::FrameView& frame, const NetHeader& header, std::size_t first) noexcept {
    Scattered& one = scattered_[scattered_count_++];
    one.frame = &frame;
    std::memcpy(one.header.data(), &header, sizeof header);
    one.first_segment = first;
  }
  [[nodiscard]] virtio::SegmentList& segments() noexcept { return segments_; }

  void copy() const noexcept {
    for (std::size_t i = 0; i < single_count_; ++i) {
      if (i + 1 < single_count_) prefetch_tail(singles_[i + 1]);
      copy_single(singles_[i]);
    }
    for (const Scattered& one : std::span(scattered_).first(scattered_count_)) {
      SegmentCursor cursor(segments_.segments().subspan(one.first_segment));
      cursor.write(one.header);
      cursor.write(one.frame->header_bytes());
      for (const vswitch::Piece& piece : one.frame->tail)
        cursor.write(piece);
    }
  }

 private:
  static constexpr std::size_t kCacheLine = 64;
  static constexpr std::size_t kPrefetchedTail = 512;

  // Trivial, as is Single: a plan is made for each push, and nothing of it is to be filled in advance.
  struct Scattered {
    const vswitch::FrameView* frame;
    std::array<std::byte, sizeof(NetHeader)> header;
    std::size_t first_segment;
  };
  static_assert(std::is_trivially_default_constructible_v<Scattered>);

  static void copy_single(const Single& one) noexcept {
    const vswitch::FrameView& frame = *one.frame;
    write_plain_header(one.buffer, 1);
    std::byte* to = one.buffer + sizeof(NetHeader);
    if (frame.length <= vswitch::kHeaderBytes) return copy_small(to, frame.header.data(), frame.length);
    std::memcpy(to, frame.header.data(), vswitch::kHeaderBytes);
    to += vswitch::kHeaderBytes;
    for (const vswitch::Piece& piece : frame.tail) {
      std::memcpy(to, piece.data(), piece.size());
      to += piece.size();
    }
  }

  /// Asks for what is behind the header bytes, at both ends of the copy, while the frame before is copied: a
  /// copy of some 1,500 bytes is over before the processor's own prefetching has caught up with it.
  static void prefetch_tail(const Single& one) noexcept {
    if (one.frame->tail.empty()) return;
    const std::span<const std::byte> from = one.frame->tail.front();
    const std::size_t bytes = std::min(from.size(), kPrefetchedTail);
    const std::byte* const to = one.buffer + sizeof(NetHeader) + vswitch::kHeaderBytes;
    for (std::size_t at = 0; at < bytes; at += kCacheLine) {
      __builtin_prefetch(from.data() + at);
      prefetch_for_write(to + at);
    }
  }

  std::size_t single_count_ = 0;
  std::size_t scattered_count_ = 0;
  std::array<Single, vswitch::kBurstFrames> singles_;
  std::array<Scattered, vswitch::kBurstFrames> scattered_;
  virtio::SegmentList segments_;
};

}  // namespace patchbay::devices::net
