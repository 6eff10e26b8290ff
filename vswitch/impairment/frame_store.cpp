#include "vswitch/impairment/frame_store.h"

#include <algorithm>
#include <cstring>

namespace patchbay::vswitch {

namespace {

constexpr std::size_t kCacheLine = 64;

constexpr std::size_t rounded(std::size_t bytes) noexcept {
  return (bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
}

}  // namespace

FrameStore::FrameStore(std::size_t bytes, std::size_t frames)
    : limit_(frames),
      bytes_(bytes, AnonymousMemory::Pages::on_use, "the frames of an impaired link"),
      frames_(std::make_unique_for_overwrite<Frame[]>(frames)),
      queue_(std::make_unique_for_overwrite<Entry[]>(frames)) {}

std::optional<std::size_t> FrameStore::place(std::size_t bytes) const noexcept {
  const std::size_t begin = used_ == 0 ? 0 : frames_[oldest_].offset;
  if (used_ != 0 && end_ <= begin) {  // the newest lies in front of the oldest
    if (begin - end_ >= bytes) return end_;
    return std::nullopt;
  }
  if (bytes_.size() - end_ >= bytes) return end_;
  if (begin >= bytes) return 0;
  return std::nullopt;
}

bool FrameStore::add(const FrameView& frame, Nanoseconds due,
                     std::optional<std::uint32_t> flipped_bit) noexcept {
  if (used_ == limit_) return false;
  const auto at = place(rounded(frame.length));
  if (!at) return false;

  std::byte* const target = bytes_.data() + *at;
  const auto header = frame.header_bytes();
  std::memcpy(target, header.data(), header.size());
  std::size_t copied = header.size();
  for (const Piece& piece : frame.tail) {
    std::memcpy(target + copied, piece.data(), piece.size());
    copied += piece.size();
  }
  if (flipped_bit) target[*flipped_bit / 8] ^= std::byte{1} << (*flipped_bit % 8);

  const std::size_t slot = (oldest_ + used_) % limit_;
  // A receiver must not be told that a checksum is right which was right before.
  const bool known = !flipped_bit && (frame.offload.flags & Offload::kDataValid) != 0;
  frames_[slot] = {static_cast<std::uint32_t>(*at), frame.length, known, false};
  ++used_;
  end_ = *at + rounded(frame.length);
  queue_[waiting_++] = {due, next_number_++, static_cast<Slot>(slot)};
  std::push_heap(queue_.get(), queue_.get() + waiting_, leaves_later);
  return true;
}

void FrameStore::release_all() noexcept {
  for (std::size_t i = 0; i < waiting_; ++i)
    queue_[i].due = Nanoseconds(0);
  std::make_heap(queue_.get(), queue_.get() + waiting_, leaves_later);
}

FrameStore::Slot FrameStore::take() noexcept {
  std::pop_heap(queue_.get(), queue_.get() + waiting_, leaves_later);
  return queue_[--waiting_].slot;
}

void FrameStore::show(Slot slot, Burst& burst) const noexcept {
  const Frame& frame = frames_[slot];
  const std::byte* const bytes = bytes_.data() + frame.offset;
  FrameView& view = burst.next();
  view.length = frame.length;
  view.offload = {};
  if (frame.checksum_known) view.offload.flags = Offload::kDataValid;
  const std::size_t in_header = std::min<std::size_t>(frame.length, kHeaderBytes);
  std::memcpy(view.header.data(), bytes, in_header);
  std::size_t pieces = 0;
  if (frame.length > in_header) burst.next_pieces()[pieces++] = {bytes + in_header, frame.length - in_header};
  burst.commit(pieces);
}

void FrameStore::free(Slot slot) noexcept {
  frames_[slot].gone = true;
  while (used_ != 0 && frames_[oldest_].gone) {
    oldest_ = (oldest_ + 1) % limit_;
    --used_;
  }
  // Back to memory that was used before.
  if (used_ == 0) oldest_ = end_ = 0;
}

}  // namespace patchbay::vswitch
