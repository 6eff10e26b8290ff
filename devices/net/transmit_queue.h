// The transmit side of a virtio-net queue pair (Virtio 1.2, 5.1.6.2): chains become frame views whose tails
// stay in guest memory until release() hands the chains back. A template over the ring format.
//
// Not synchronised: the queue's part of the device's lock covers each call. A reset between pull() and
// release() is the device's business.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "devices/net/frame_rules.h"
#include "devices/net/net_header.h"
#include "devices/net/segment_cursor.h"
#include "devices/virtio/ring.h"
#include "vswitch/counters.h"
#include "vswitch/frame.h"

namespace patchbay::devices::net {

template <virtio::DeviceRing Ring>
class TransmitQueue {
 public:
  [[nodiscard]] Ring& ring() noexcept { return ring_; }
  [[nodiscard]] const Ring& ring() const noexcept { return ring_; }

  /// Appends waiting frames to the empty `burst`. A chain that holds no frame is counted and handed back at
  /// once, but only in front of the first frame: behind one, it waits for the next pull, so that what
  /// release() leaves is always a suffix of the ring. True if the driver wants an interrupt for what was
  /// handed back.
  [[nodiscard]] bool pull(vswitch::Burst& burst, const FrameRules& rules, vswitch::PortCounters::In& in,
                          vswitch::Counter& copied) noexcept {
    std::uint64_t copied_bytes = 0;
    // At most what waits now: a driver that adds chains as fast as they are refused cannot hold the worker.
    for (std::size_t waiting = ring_.available(); waiting != 0 && burst.has_room();) {
      const std::size_t taken = pull_singles(waiting, burst, rules, copied_bytes);
      waiting -= taken;
      if (taken != 0) continue;
      --waiting;
      const typename Ring::Mark mark = ring_.mark();
      virtio::Chain chain;
      segments_.clear();
      const virtio::PopStatus status = ring_.pop(segments_, chain);
      if (status == virtio::PopStatus::empty || status == virtio::PopStatus::broken) break;

      const std::optional<vswitch::DropReason> refused =
          status == virtio::PopStatus::overlong ? vswitch::DropReason::malformed : view(chain, burst, rules);
      if (!refused) {
        used_[burst.size() - 1] = {chain.id, 0};
        marks_[burst.size() - 1] = mark;
        copied_bytes += burst[burst.size() - 1].header_bytes().size();
        continue;
      }
      if (!burst.empty()) {
        ring_.rewind(mark);
        break;
      }
      in.frames.add();
      in.bytes.add(chain.readable_bytes > sizeof(NetHeader) ? chain.readable_bytes - sizeof(NetHeader) : 0);
      in.drop(*refused);
      ring_.complete(chain.id, 0);
    }
    pulled_count_ = burst.size();
    copied.add(copied_bytes);
    return ring_.flush();
  }

  /// Hands back the first `consumed` chains of the last pull; the others will be pulled again. True if the
  /// driver wants an interrupt.
  [[nodiscard]] bool release(std::size_t consumed) noexcept {
    if (consumed < pulled_count_) ring_.rewind(marks_[consumed]);
    ring_.complete_all(std::span(used_).first(consumed));
    pulled_count_ = 0;
    return ring_.flush();
  }

 private:
  static constexpr std::size_t kCacheLine = 64;

  /// Adds frames to `burst` that are one element each and need no second look; stops before the first other.
  /// The buffers were written on another core: all are asked for before the first is read.
  [[nodiscard]] std::size_t pull_singles(std::size_t waiting, vswitch::Burst& burst, const FrameRules& rules,
                                         std::uint64_t& copied_bytes) noexcept {
    typename Ring::Mark mark = ring_.mark();
    const std::span<vswitch::FrameView> frames = burst.free_frames();
    const std::span<vswitch::Piece> pieces = burst.free_pieces();
    const std::size_t most = std::min({waiting, frames.size(), pieces.size()});
    const std::size_t count = ring_.pop_singles(std::span(singles_).first(most));
    for (const virtio::SingleChain& chain : std::span(singles_).first(count)) {
      __builtin_prefetch(chain.data);
      __builtin_prefetch(chain.data + kCacheLine);
    }
    const std::uint32_t longest = rules.link_up ? rules.longest_frame : 0;
    virtio::UsedChain* const used = used_.data() + burst.size();
    typename Ring::Mark* const marks = marks_.data() + burst.size();
    std::uint64_t copied = 0;
    std::size_t taken = 0;
    std::size_t pieces_used = 0;
    for (; taken < count; ++taken) {
      const virtio::SingleChain& chain = singles_[taken];
      const std::uint32_t bytes = chain.length - static_cast<std::uint32_t>(sizeof(NetHeader));
      if (chain.writable || chain.length < sizeof(NetHeader) + vswitch::kEthernetHeader || bytes > longest ||
          !is_plain(chain.data)) [[unlikely]] {
        break;
      }
      const std::byte* const data = chain.data + sizeof(NetHeader);
      vswitch::FrameView& frame = frames[taken];
      frame.length = bytes;
      frame.id = 0;
      frame.offload = {};
      if (bytes <= vswitch::kHeaderBytes) {
        frame.tail = {};
        copy_small(frame.header.data(), data, bytes);
        copied += bytes;
      } else {
        vswitch::Piece& rest = pieces[pieces_used++];
        rest = {data + vswitch::kHeaderBytes, bytes - vswitch::kHeaderBytes};
        frame.tail = {&rest, 1};
        std::memcpy(frame.header.data(), data, vswitch::kHeaderBytes);
        copied += vswitch::kHeaderBytes;
      }
      used[taken] = {chain.id, 0};
      marks[taken] = mark;
      ring_.advance(mark);
    }
    burst.commit_all(taken, pieces_used);
    copied_bytes += copied;
    ring_.put_back(count - taken);
    return taken;
  }

  /// Adds the frame in segments_ to `burst`, or says why it is none.
  [[nodiscard]] std::optional<vswitch::DropReason> view(const virtio::Chain& chain, vswitch::Burst& burst,
                                                        const FrameRules& rules) noexcept {
    using vswitch::DropReason;
    if (chain.writable != 0 || chain.readable_bytes < sizeof(NetHeader)) return DropReason::malformed;
    const std::uint64_t length = chain.readable_bytes - sizeof(NetHeader);
    if (length < vswitch::kEthernetHeader) return DropReason::too_short;
    if (length > vswitch::kMaxFrameBytes) return DropReason::too_long;
    if (!rules.link_up) return DropReason::link_down;

    // The header may be split over elements in any way (2.7.4.1: framing carries no meaning).
    SegmentCursor cursor(segments_.segments());
    std::byte raw[sizeof(NetHeader)];
    cursor.read(raw, sizeof raw);
    NetHeader header;
    std::memcpy(&header, raw, sizeof raw);
    const auto frame_bytes = static_cast<std::uint32_t>(length);
    const auto offload = decode_offload(header, rules.acknowledged, frame_bytes);
    if (!offload) return DropReason::bad_offload;
    if (offload->gso_type == vswitch::Offload::kGsoNone && frame_bytes > rules.longest_frame) {
      return DropReason::too_long;
    }

    vswitch::FrameView& frame = burst.next();
    frame.length = frame_bytes;
    frame.offload = *offload;
    const std::size_t copied = std::min<std::size_t>(frame_bytes, vswitch::kHeaderBytes);
    cursor.read(frame.header.data(), copied);
    const std::size_t pieces = cursor.refer(burst.next_pieces(), frame_bytes - copied);
    if (pieces > vswitch::kMaxPieces) return DropReason::malformed;
    burst.commit(pieces);
    return std::nullopt;
  }

  Ring ring_;
  virtio::SegmentList segments_;
  std::array<virtio::SingleChain, vswitch::kBurstFrames> singles_;
  // Of each pulled chain: what release() hands back (5.1.6.2.2: nothing is written into a transmitted
  // buffer), and where the ring stood before it.
  std::array<virtio::UsedChain, vswitch::kBurstFrames> used_;
  std::array<typename Ring::Mark, vswitch::kBurstFrames> marks_;
  std::size_t pulled_count_ = 0;
};

}  // namespace patchbay::devices::net
