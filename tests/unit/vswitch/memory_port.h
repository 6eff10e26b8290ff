// A port whose other side is the test: frames to send are queued by the test, delivered ones are kept for it
// to read. Single-threaded, unless the test says otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "vswitch/port.h"

namespace patchbay::vswitch::test {

using Bytes = std::vector<std::byte>;

inline constexpr std::uint64_t kHost1 = 0x0200'0000'0001;
inline constexpr std::uint64_t kHost2 = 0x0200'0000'0002;

/// All bytes of a frame view, header copy and tail.
inline Bytes bytes_of(const FrameView& frame) {
  const auto header = frame.header_bytes();
  Bytes result(header.begin(), header.end());
  for (const Piece& piece : frame.tail)
    result.insert(result.end(), piece.begin(), piece.end());
  return result;
}

class MemoryPort final : public Port {
 public:
  using Port::Port;

  struct Frame {
    Bytes bytes;
    Offload offload{};
    friend bool operator==(const Frame& a, const Frame& b) { return a.bytes == b.bytes; }
  };

  // What the test sets.
  std::deque<Frame> to_send;
  std::size_t room = SIZE_MAX;    // frames that push() still takes
  std::size_t piece_bytes = 100;  // the tail of a sent frame is cut into pieces of this size
  OffloadSet offloads;            // what accepts() answers
  bool frames_at_arm = false;     // what arm() answers
  int wake_descriptor = -1;

  // What the test reads.
  std::vector<Frame> received;
  std::vector<std::size_t> pushes;  // frames of each push
  std::size_t releases = 0;
  std::size_t arms = 0;
  std::size_t disarms = 0;
  bool link = true;

  void send(Bytes bytes, Offload offload = {}) { to_send.push_back({std::move(bytes), offload}); }

  void pull(Burst& burst) override {
    for (const Frame& frame : to_send) {
      if (!burst.has_room()) break;
      FrameView& view = burst.next();
      view.length = static_cast<std::uint32_t>(frame.bytes.size());
      view.offload = frame.offload;
      const std::span<const std::byte> all(frame.bytes);
      const std::size_t in_header = std::min(all.size(), kHeaderBytes);
      std::copy_n(all.begin(), in_header, view.header.begin());
      std::size_t pieces = 0;
      for (std::size_t at = in_header; at < all.size(); at += piece_bytes)
        burst.next_pieces()[pieces++] = all.subspan(at, std::min(piece_bytes, all.size() - at));
      burst.commit(pieces);
    }
  }
  void release(std::size_t consumed) override {
    ++releases;
    to_send.erase(to_send.begin(), to_send.begin() + static_cast<std::ptrdiff_t>(consumed));
  }
  std::size_t push(std::span<const FrameView* const> frames) override {
    const std::size_t taken = std::min(room, frames.size());
    pushes.push_back(frames.size());
    for (const FrameView* frame : frames.first(taken)) {
      received.push_back({bytes_of(*frame), frame->offload});
      counters.out.bytes.add(frame->length);
    }
    counters.out.delivered.add(taken);
    if (room != SIZE_MAX) room -= taken;
    return taken;
  }
  [[nodiscard]] OffloadSet accepts() const noexcept override { return offloads; }
  [[nodiscard]] int wake_fd() const noexcept override { return wake_descriptor; }
  bool arm() override {
    ++arms;
    return frames_at_arm;
  }
  void disarm() override { ++disarms; }
  void set_link(bool up) override { link = up; }

  [[nodiscard]] std::uint64_t dropped_in(DropReason reason) const {
    return counters.in.dropped[static_cast<std::size_t>(reason)].value();
  }
  [[nodiscard]] std::uint64_t dropped_out(DropReason reason) const {
    return counters.out.dropped[static_cast<std::size_t>(reason)].value();
  }
};

/// An Ethernet frame: destination, source, type 0x88b5 (for experiments), then `size` - 14 bytes that differ
/// by position and `seed`.
inline Bytes ethernet_frame(std::uint64_t to, std::uint64_t from, std::size_t size = 64, unsigned seed = 0) {
  Bytes frame(size);
  for (std::size_t i = 0; i < size; ++i)
    frame[i] = static_cast<std::byte>(i * 7 + seed);
  // Addresses are written as people do, 0x0200'0000'0001 is 02:00:00:00:00:01.
  for (std::size_t i = 0; i < 6 && size >= 14; ++i) {
    frame[i] = static_cast<std::byte>(to >> (40 - 8 * i));
    frame[6 + i] = static_cast<std::byte>(from >> (40 - 8 * i));
  }
  if (size >= 14) {
    frame[12] = std::byte{0x88};
    frame[13] = std::byte{0xb5};
  }
  return frame;
}

}  // namespace patchbay::vswitch::test
