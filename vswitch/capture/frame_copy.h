// Copies the start of a frame out of a FrameView: the private header copy, then the pieces in the source's
// memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include "vswitch/frame.h"

namespace patchbay::vswitch::capture {

/// Fills `out` from byte 0 of the frame on. Returns the bytes copied: out.size(), or less where the frame
/// ends earlier.
inline std::size_t copy_frame(const FrameView& frame, std::span<std::byte> out) noexcept {
  out = out.first(std::min<std::size_t>(out.size(), frame.length));
  const std::span<const std::byte> header = frame.header_bytes();
  std::size_t copied = std::min(header.size(), out.size());
  if (copied != 0) std::memcpy(out.data(), header.data(), copied);
  for (const Piece& piece : frame.tail) {
    const std::size_t bytes = std::min(piece.size(), out.size() - copied);
    if (bytes == 0) continue;
    std::memcpy(out.data() + copied, piece.data(), bytes);
    copied += bytes;
  }
  return copied;
}

}  // namespace patchbay::vswitch::capture
