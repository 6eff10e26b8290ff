// Walking over the elements of popped chains: copying out of and into guest memory that comes in pieces.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include "devices/virtio/ring.h"

namespace patchbay::devices::net {

/// Copies up to 128 bytes with a few fixed-size moves instead of a call: most frames are small.
inline void copy_small(std::byte* to, const std::byte* from, std::size_t bytes) noexcept {
  const auto ends = [&]<std::size_t N>() {  // two moves of N bytes that may overlap
    std::byte first[N];
    std::byte last[N];
    std::memcpy(first, from, N);
    std::memcpy(last, from + bytes - N, N);
    std::memcpy(to, first, N);
    std::memcpy(to + bytes - N, last, N);
  };
  if (bytes > 128) {
    std::memcpy(to, from, bytes);
  } else if (bytes >= 64) {
    ends.operator()<64>();
  } else if (bytes >= 32) {
    ends.operator()<32>();
  } else {
    std::memcpy(to, from, bytes);
  }
}

/// Starts to load a cache line that is about to be written, so that it comes without the other core's copy.
/// An instruction of its own: __builtin_prefetch() needs a compiler option for it. A hint on every x86-64.
inline void prefetch_for_write(const std::byte* line) noexcept {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*line));
#else
  __builtin_prefetch(line, 1);
#endif
}

/// A position in a list of segments. The caller never asks for more bytes than are left.
class SegmentCursor {
 public:
  explicit SegmentCursor(std::span<const virtio::Segment> segments) noexcept : segments_(segments) {}

  /// Copies the next bytes out.
  void read(std::byte* to, std::size_t bytes) noexcept {
    advance(bytes, [&to](const std::byte* data, std::size_t n) {
      copy_small(to, data, n);
      to += n;
    });
  }

  /// Copies `bytes` in.
  void write(std::span<const std::byte> bytes) noexcept {
    const std::byte* from = bytes.data();
    advance(bytes.size(), [&from](std::byte* data, std::size_t n) {
      copy_small(data, from, n);
      from += n;
    });
  }

  /// Refers to the next bytes in place, piece by piece; returns the pieces used, or more than pieces.size()
  /// if there are too few.
  template <typename Pieces>
  [[nodiscard]] std::size_t refer(Pieces pieces, std::size_t bytes) noexcept {
    std::size_t used = 0;
    advance(bytes, [&](const std::byte* data, std::size_t n) {
      if (used < pieces.size()) pieces[used] = {data, n};
      ++used;
    });
    return used;
  }

 private:
  template <typename Visit>
  void advance(std::size_t bytes, Visit visit) noexcept {
    while (bytes != 0) {
      const virtio::Segment& segment = segments_[index_];
      const std::size_t n = std::min<std::size_t>(bytes, segment.length - offset_);
      visit(segment.data + offset_, n);
      bytes -= n;
      offset_ += n;
      if (offset_ == segment.length) {
        ++index_;
        offset_ = 0;
      }
    }
  }

  std::span<const virtio::Segment> segments_;
  std::size_t index_ = 0;
  std::size_t offset_ = 0;
};

}  // namespace patchbay::devices::net
