// The receive side of a virtio-net queue pair (Virtio 1.2, 5.1.6.3 and 5.1.6.4): frames are copied into the
// buffers the driver posted, and published once per burst. A template over the ring format.
//
// Not synchronised: the device's mutex covers each call.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "devices/net/frame_rules.h"
#include "devices/net/net_header.h"
#include "devices/net/segment_cursor.h"
#include "devices/virtio/ring.h"
#include "vswitch/counters.h"
#include "vswitch/frame.h"

namespace patchbay::devices::net {

template <virtio::DeviceRing Ring>
class ReceiveQueue {
 public:
  struct Pushed {
    std::size_t frames;  // dealt with, from the front
    bool interrupt;      // the driver wants one
  };

  [[nodiscard]] Ring& ring() noexcept { return ring_; }
  [[nodiscard]] const Ring& ring() const noexcept { return ring_; }
  /// Why the queue stopped: the ring's reason, or a buffer no frame can ever go into.
  [[nodiscard]] virtio::RingError error() const noexcept {
    return useless_buffer_ ? virtio::RingError::useless_buffer : ring_.error();
  }
  void forget_error() noexcept { useless_buffer_ = false; }

  /// Copies frames into posted buffers until one finds no room.
  [[nodiscard]] Pushed push(std::span<const vswitch::FrameView* const> frames, const FrameRules& rules,
                            vswitch::PortCounters::Out& out, CopyCounters& copied) noexcept {
    using vswitch::DropReason;
    std::size_t handled = 0;
    std::uint64_t delivered = 0;
    std::uint64_t bytes = 0;
    while (handled < frames.size()) {
      if constexpr (virtio::BulkRing<Ring>) {
        const std::size_t done = push_singles(frames.subspan(handled), rules, bytes);
        handled += done;
        delivered += done;
        if (handled == frames.size()) break;
      }
      const vswitch::FrameView* const frame = frames[handled];
      if (!rules.accepted.covers(frame->offload)) {
        out.drop(DropReason::bad_offload);
      } else if (frame->offload.gso_type == vswitch::Offload::kGsoNone &&
                 frame->length > rules.longest_frame) {
        out.drop(DropReason::too_long);  // 5.1.4.1: nothing beyond the MTU offered
      } else {
        const Outcome outcome = deliver(*frame, rules);
        if (outcome == Outcome::no_room) break;
        if (outcome == Outcome::delivered) {
          ++delivered;
          bytes += frame->length;
        } else {
          out.drop(DropReason::too_long);
        }
      }
      ++handled;
    }
    out.delivered.add(delivered);
    out.bytes.add(bytes);
    copied.into_guest.add(bytes);
    return {handled, ring_.flush()};
  }

 private:
  static constexpr std::size_t kCacheLine = 64;
  static constexpr std::size_t kPrefetchedTail = 512;

  enum class Outcome { delivered, no_room, never_fits };

  /// Delivers complete frames from the front that fit into a buffer of one element each; stops before the
  /// first other frame or buffer. The buffers lie in another core's cache: all are asked for before the first
  /// is written.
  [[nodiscard]] std::size_t push_singles(std::span<const vswitch::FrameView* const> frames,
                                         const FrameRules& rules, std::uint64_t& bytes) noexcept {
    const std::size_t most = std::min(frames.size(), singles_.size());
    const std::size_t count = ring_.pop_singles(std::span(singles_).first(most));
    for (const virtio::SingleChain& chain : std::span(singles_).first(count)) {
      prefetch_for_write(chain.data);
      prefetch_for_write(chain.data + kCacheLine);
    }
    std::size_t done = 0;
    for (; done < count; ++done) {
      const virtio::SingleChain& chain = singles_[done];
      const vswitch::FrameView& frame = *frames[done];
      const std::uint32_t needed = static_cast<std::uint32_t>(sizeof(NetHeader)) + frame.length;
      if (!chain.writable || chain.length < needed || frame.length > rules.longest_frame ||
          (frame.offload.flags | frame.offload.gso_type) != 0) [[unlikely]] {
        break;
      }
      if (done + 1 < count) prefetch_tail(*frames[done + 1], singles_[done + 1]);
      write_plain_header(chain.data, 1);
      std::byte* to = chain.data + sizeof(NetHeader);
      if (frame.length <= vswitch::kHeaderBytes) {
        copy_small(to, frame.header.data(), frame.length);
      } else {
        std::memcpy(to, frame.header.data(), vswitch::kHeaderBytes);
        to += vswitch::kHeaderBytes;
        for (const vswitch::Piece& piece : frame.tail) {
          std::memcpy(to, piece.data(), piece.size());
          to += piece.size();
        }
      }
      ring_.complete(chain.id, needed);
      bytes += frame.length;
    }
    ring_.put_back(count - done);
    return done;
  }

  /// Asks for what is behind the header bytes, at both ends of the copy, while the frame before is copied: a
  /// copy of some 1,500 bytes is over before the processor's own prefetching has caught up with it.
  static void prefetch_tail(const vswitch::FrameView& frame, const virtio::SingleChain& chain) noexcept {
    if (frame.tail.empty()) return;
    const std::span<const std::byte> from = frame.tail.front();
    const std::size_t bytes = std::min({from.size(), std::size_t{chain.length}, kPrefetchedTail});
    const std::byte* const to = chain.data + vswitch::kHeaderBytes;
    for (std::size_t at = 0; at < bytes; at += kCacheLine) {
      __builtin_prefetch(from.data() + at);
      prefetch_for_write(to + at);
    }
  }

  [[nodiscard]] Outcome deliver(const vswitch::FrameView& frame, const FrameRules& rules) noexcept {
    const bool mergeable = (rules.acknowledged & kFeatureMergeableRx) != 0;
    const std::uint32_t needed = static_cast<std::uint32_t>(sizeof(NetHeader)) + frame.length;
    const typename Ring::Mark start = ring_.mark();
    segments_.clear();

    // First collect buffers until the frame fits, then copy: nothing is written for a frame that does not.
    std::uint32_t room = 0;
    std::uint16_t buffers = 0;
    do {
      virtio::Chain chain;
      const virtio::PopStatus status = ring_.pop(segments_, chain);
      if (status != virtio::PopStatus::chain) [[unlikely]] {
        // All the driver can post is in hand, or in too many pieces: waiting would not help.
        const bool never = status == virtio::PopStatus::overlong || buffers == ring_.size();
        ring_.rewind(start);
        return never ? Outcome::never_fits : Outcome::no_room;
      }
      if (chain.readable != 0 || chain.writable_bytes < sizeof(NetHeader)) [[unlikely]] {
        // 5.1.6.3.1: buffers are writable and at least as large as the header.
        ring_.rewind(start);
        useless_buffer_ = true;
        return Outcome::no_room;
      }
      // 5.1.6.4: every buffer but the last is filled completely.
      const auto used =
          static_cast<std::uint32_t>(std::min<std::uint64_t>(chain.writable_bytes, needed - room));
      ring_.complete(chain.id, used);
      room += used;
      ++buffers;
    } while (room < needed && mergeable);
    if (room < needed) [[unlikely]] {
      ring_.rewind(start);  // the buffer stays for a frame that fits
      return Outcome::never_fits;
    }

    const NetHeader header = encode_header(frame.offload, rules.accepted, buffers);
    SegmentCursor cursor(segments_.segments());
    cursor.write(std::as_bytes(std::span(&header, 1)));
    cursor.write(frame.header_bytes());
    for (const vswitch::Piece& piece : frame.tail)
      cursor.write(piece);
    return Outcome::delivered;
  }

  Ring ring_;
  virtio::SegmentList segments_;
  std::array<virtio::SingleChain, vswitch::kBurstFrames> singles_;
  bool useless_buffer_ = false;
};

}  // namespace patchbay::devices::net
