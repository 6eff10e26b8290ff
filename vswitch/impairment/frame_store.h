// Copies of frames that wait for their time to come, in memory of a fixed size. Frames lie one after the
// other in a ring of bytes in the order in which they came, and are found by the time when they are due;
// among equal times the first to come is the first to leave.
//
// Memory is touched only as far as the most bytes that waited at once. One thread at a time; only
// construction allocates and throws.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "vswitch/anonymous_memory.h"
#include "vswitch/frame.h"

namespace patchbay::vswitch {

class FrameStore {
 public:
  using Nanoseconds = std::chrono::nanoseconds;
  using Slot = std::uint32_t;

  /// Throws std::system_error if there is no address space for so many bytes. bytes >= 2 * kMaxFrameBytes.
  FrameStore(std::size_t bytes, std::size_t frames);
  FrameStore(const FrameStore&) = delete;
  FrameStore& operator=(const FrameStore&) = delete;

  /// Copies a frame that leaves nothing to the wire, with one bit flipped if asked for. False if it has no
  /// room.
  [[nodiscard]] bool add(const FrameView& frame, Nanoseconds due,
                         std::optional<std::uint32_t> flipped_bit) noexcept;
  /// Makes every frame that waits due at once, in the order in which they came.
  void release_all() noexcept;

  /// Frames that wait, those that take() returned left out.
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_; }
  /// Of the frame that leaves next; precondition: waiting() != 0, as for take().
  [[nodiscard]] Nanoseconds next_due() const noexcept { return queue_[0].due; }
  /// The frame that leaves next waits no more; its bytes stay until free().
  [[nodiscard]] Slot take() noexcept;
  /// Appends a taken frame to a burst with room.
  void show(Slot slot, Burst& burst) const noexcept;
  void free(Slot slot) noexcept;

 private:
  struct Frame {
    std::uint32_t offset;  // in bytes_
    std::uint32_t length;
    bool checksum_known;  // Offload::kDataValid
    bool gone;
  };
  // An entry of the heap of frames that wait.
  struct Entry {
    Nanoseconds due;
    std::uint64_t number;  // counts frames
    Slot slot;
  };
  [[nodiscard]] static bool leaves_later(const Entry& a, const Entry& b) noexcept {
    return a.due != b.due ? a.due > b.due : a.number > b.number;
  }
  /// Where so many bytes in a row are free.
  [[nodiscard]] std::optional<std::size_t> place(std::size_t bytes) const noexcept;

  std::size_t limit_;  // frames
  AnonymousMemory bytes_;
  std::unique_ptr<Frame[]> frames_;  // a ring in the order of arrival: used_ from oldest_ on
  std::unique_ptr<Entry[]> queue_;   // a heap of waiting_ entries
  std::size_t oldest_ = 0;
  std::size_t used_ = 0;
  std::size_t end_ = 0;  // behind the newest frame's bytes
  std::size_t waiting_ = 0;
  std::uint64_t next_number_ = 0;
};

}  // namespace patchbay::vswitch
