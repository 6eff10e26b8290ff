#include "devices/block/overlay_disk.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <system_error>
#include <utility>

namespace patchbay::devices::block {
namespace {

/// The first `bytes` of `pieces` as a list of its own, and the rest in place. At most `list.size()` pieces
/// fit; `bytes` shrinks to what does.
std::span<iovec> take(std::span<iovec>& pieces, std::uint64_t& bytes, std::span<iovec> list) noexcept {
  std::size_t used = 0;
  std::uint64_t taken = 0;
  while (taken < bytes && used < list.size() && !pieces.empty()) {
    iovec& front = pieces.front();
    const auto portion = static_cast<std::size_t>(std::min<std::uint64_t>(front.iov_len, bytes - taken));
    if (portion != 0) list[used++] = {front.iov_base, portion};
    taken += portion;
    front.iov_base = static_cast<std::byte*>(front.iov_base) + portion;
    front.iov_len -= portion;
    if (front.iov_len == 0) pieces = pieces.subspan(1);
  }
  bytes = taken;
  return list.first(used);
}

}  // namespace

OverlayDisk::OverlayDisk(const std::string& base, const std::string& directory) {
  const OpenedImage image = open_image(base, false);
  base_.reset(image.fd);
  bytes_ = image.bytes;
  overlay_.reset(nameless_file(directory));
  if (!overlay_ || ::ftruncate(overlay_.get(), static_cast<off_t>(bytes_)) != 0) {
    throw std::system_error(errno, std::generic_category(),
                            "cannot make the copy-on-write overlay of " + base + " in " + directory);
  }
  const std::uint64_t blocks = (bytes_ + kBlockBytes - 1) / kBlockBytes;
  written_ = std::make_unique<Word[]>((blocks + 63) / 64);
}

int OverlayDisk::read(std::uint64_t offset, std::span<iovec> pieces) noexcept {
  std::array<iovec, 64> list;
  while (!pieces.empty()) {
    // A run of blocks that come from the same file.
    const std::uint64_t first = offset / kBlockBytes;
    const bool from_overlay = is_written(first);
    std::uint64_t left = 0;
    for (const iovec& piece : pieces)
      left += piece.iov_len;
    if (left == 0) break;
    std::uint64_t end = (first + 1) * kBlockBytes;
    while (end < offset + left && is_written(end / kBlockBytes) == from_overlay)
      end += kBlockBytes;
    std::uint64_t bytes = std::min(end - offset, left);
    const std::span<iovec> run = take(pieces, bytes, list);
    const int error = read_fully(from_overlay ? overlay_.get() : base_.get(), offset, run);
    if (error != 0) return error;
    offset += bytes;
  }
  return 0;
}

int OverlayDisk::write(std::uint64_t offset, std::span<iovec> pieces) noexcept {
  std::uint64_t bytes = 0;
  for (const iovec& piece : pieces)
    bytes += piece.iov_len;
  if (bytes == 0) return 0;
  const std::uint64_t end = offset + bytes;
  const std::uint64_t first = offset / kBlockBytes;
  const std::uint64_t last = (end - 1) / kBlockBytes;
  // The disk's end may lie inside its last block; what would be past it needs no copy.
  const bool part_of_first = offset % kBlockBytes != 0;
  const bool part_of_last = end % kBlockBytes != 0 && end != bytes_;
  if (part_of_first || part_of_last) {
    const std::lock_guard lock(copy_mutex_);
    if (part_of_first || last == first) {
      if (const int error = copy_up(first); error != 0) return error;
    }
    if (part_of_last && last != first) {
      if (const int error = copy_up(last); error != 0) return error;
    }
  }
  if (const int error = write_fully(overlay_.get(), offset, pieces); error != 0) return error;
  mark_written(first, last);
  return 0;
}

int OverlayDisk::copy_up(std::uint64_t block) noexcept {
  if (is_written(block)) return 0;
  std::array<std::byte, kBlockBytes> data;
  const std::uint64_t offset = block * kBlockBytes;
  const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(kBlockBytes, bytes_ - offset));
  iovec piece{data.data(), bytes};
  if (const int error = read_fully(base_.get(), offset, std::span(&piece, 1)); error != 0) return error;
  piece = {data.data(), bytes};
  if (const int error = write_fully(overlay_.get(), offset, std::span(&piece, 1)); error != 0) return error;
  mark_written(block, block);
  return 0;
}

void OverlayDisk::mark_written(std::uint64_t first, std::uint64_t last) noexcept {
  for (std::uint64_t block = first; block <= last; ++block)
    written_[block / 64].fetch_or(1ULL << (block % 64), std::memory_order_release);
}

int OverlayDisk::discard(std::uint64_t offset, std::uint64_t bytes) noexcept {
  // Whole blocks only: they read as zeros from now on and cost no space. The base's content need not come
  // back.
  const std::uint64_t first = (offset + kBlockBytes - 1) / kBlockBytes;
  const std::uint64_t end = (offset + bytes) / kBlockBytes;
  if (first >= end) return 0;
  int error = punch_hole(overlay_.get(), first * kBlockBytes, (end - first) * kBlockBytes);
  if (error != 0) error = zero_range(overlay_.get(), first * kBlockBytes, (end - first) * kBlockBytes);
  if (error != 0) return error;
  mark_written(first, end - 1);
  return 0;
}

int OverlayDisk::write_zeroes(std::uint64_t offset, std::uint64_t bytes, bool /*may_unmap*/) noexcept {
  const std::uint64_t end = offset + bytes;
  const std::uint64_t whole_from = std::min(end, (offset + kBlockBytes - 1) / kBlockBytes * kBlockBytes);
  const std::uint64_t whole_to = std::max(whole_from, end / kBlockBytes * kBlockBytes);
  static constinit std::array<std::byte, kBlockBytes> zeros{};
  for (const auto& [from, to] : {std::pair(offset, whole_from), std::pair(whole_to, end)}) {
    if (from == to) continue;
    iovec piece{zeros.data(), static_cast<std::size_t>(to - from)};
    if (const int error = write(from, std::span(&piece, 1)); error != 0) return error;
  }
  return discard(whole_from, whole_to - whole_from);
}

}  // namespace patchbay::devices::block
