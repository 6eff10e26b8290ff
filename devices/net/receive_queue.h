// The receive side of a virtio-net queue pair (Virtio 1.2, 5.1.6.3 and 5.1.6.4): frames are copied into the
// buffers the driver posted, and published once per burst. A template over the ring format.
//
// Threads: the queue's part of the device's lock covers each call. push() can do its copying outside: several
// workers then have frames on their way into buffers of the queue at once, and publish them in the order in
// which they took the buffers, each what is ready when it is the oldest.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "devices/net/frame_rules.h"
#include "devices/net/net_header.h"
#include "devices/net/placement.h"
#include "devices/virtio/ring.h"
#include "vswitch/counters.h"
#include "vswitch/frame.h"
#include "vswitch/source.h"

namespace patchbay::devices::net {

template <virtio::DeviceRing Ring>
class ReceiveQueue {
 public:
  using Frames = std::span<const vswitch::FrameView* const>;
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

  /// Copies frames into posted buffers until one finds no room. `outside` is called with what copies, once or
  /// several times, and may run it without the lock; then others may push meanwhile, up to
  /// vswitch::kMaxWorkers at once.
  template <typename Outside>
  [[nodiscard]] Pushed push(Frames frames, const FrameRules& rules, vswitch::PortCounters::Out& out,
                            vswitch::Counter& copied, Outside outside) noexcept {
    Pushed pushed{0, false};
    Placement placement;
    Placed all;
    for (bool more = true; more;) {
      placement.clear();
      more = place(frames.subspan(pushed.frames), rules, out, placement, all);
      pushed.frames = all.frames;
      if (placement.empty()) continue;
      const unsigned turn = queue_up();
      outside([&placement] { placement.copy(); });
      pushed.interrupt |= publish(turn);
    }
    out.delivered.add(all.delivered);
    out.bytes.add(all.bytes);
    copied.add(all.bytes);
    return pushed;
  }

 private:
  static constexpr std::size_t kCacheLine = 64;

  struct Placed {
    std::size_t frames = 0;       // dealt with
    std::uint64_t delivered = 0;  // of them
    std::uint64_t bytes = 0;      // of delivered ones
  };
  enum class Outcome { placed, no_room, never_fits, plan_full };

  /// Chooses buffers for frames from the front, and counts those that have none to go to. True if frames are
  /// left that need another plan.
  [[nodiscard]] bool place(Frames frames, const FrameRules& rules, vswitch::PortCounters::Out& out,
                           Placement& placement, Placed& all) noexcept {
    using vswitch::DropReason;
    std::size_t handled = 0;
    Outcome outcome = Outcome::placed;
    while (handled < frames.size()) {
      if (placement.room() == 0) {
        outcome = Outcome::plan_full;
        break;
      }
      const std::size_t done = place_singles(frames.subspan(handled), rules, placement, all);
      handled += done;
      if (done != 0) continue;
      const vswitch::FrameView* const frame = frames[handled];
      if (!rules.accepted.covers(frame->offload)) {
        out.drop(DropReason::bad_offload);
      } else if (frame->offload.gso_type == vswitch::Offload::kGsoNone &&
                 frame->length > rules.longest_frame) {
        out.drop(DropReason::too_long);  // 5.1.4.1: nothing beyond the MTU offered
      } else {
        outcome = place_scattered(*frame, rules, placement);
        if (outcome == Outcome::no_room || outcome == Outcome::plan_full) break;
        if (outcome == Outcome::placed) {
          ++all.delivered;
          all.bytes += frame->length;
        } else {
          out.drop(DropReason::too_long);
        }
      }
      ++handled;
    }
    all.frames += handled;
    return outcome == Outcome::plan_full;
  }

  /// Chooses buffers for complete frames from the front that fit into a buffer of one element each; stops
  /// before the first other frame or buffer. The buffers lie in another core's cache: all are asked for
  /// before the first is written.
  [[nodiscard]] std::size_t place_singles(Frames frames, const FrameRules& rules, Placement& placement,
                                          Placed& all) noexcept {
    const std::span<Placement::Single> places = placement.free_singles();
    const std::size_t most = std::min(frames.size(), places.size());
    const std::size_t count = ring_.pop_singles(std::span(singles_).first(most));
    for (const virtio::SingleChain& chain : std::span(singles_).first(count)) {
      prefetch_for_write(chain.data);
      prefetch_for_write(chain.data + kCacheLine);
    }
    const std::uint32_t longest = rules.longest_frame;
    std::array<virtio::UsedChain, vswitch::kBurstFrames> used;
    std::uint64_t bytes = 0;
    std::size_t done = 0;
    for (; done < count; ++done) {
      const virtio::SingleChain& chain = singles_[done];
      const vswitch::FrameView& frame = *frames[done];
      const std::uint32_t needed = static_cast<std::uint32_t>(sizeof(NetHeader)) + frame.length;
      if (!chain.writable || chain.length < needed || frame.length > longest ||
          (frame.offload.flags | frame.offload.gso_type) != 0) [[unlikely]] {
        break;
      }
      places[done] = {&frame, chain.data};
      used[done] = {chain.id, needed};
      bytes += frame.length;
    }
    ring_.put_back(count - done);
    ring_.complete_all(std::span(used).first(done));
    placement.commit_singles(done);
    all.delivered += done;
    all.bytes += bytes;
    return done;
  }

  [[nodiscard]] Outcome place_scattered(const vswitch::FrameView& frame, const FrameRules& rules,
                                        Placement& placement) noexcept {
    const bool mergeable = (rules.acknowledged & kFeatureMergeableRx) != 0;
    const std::uint32_t needed = static_cast<std::uint32_t>(sizeof(NetHeader)) + frame.length;
    const typename Ring::Mark start = ring_.mark();
    virtio::SegmentList& segments = placement.segments();
    const std::size_t first = segments.size();
    const auto take_back = [&](Outcome outcome) {
      ring_.rewind(start);
      segments.shrink(first);
      return outcome;
    };

    // First collect buffers until the frame fits: nothing is written for a frame that does not.
    std::uint32_t room = 0;
    std::uint16_t buffers = 0;
    do {
      virtio::Chain chain;
      const virtio::PopStatus status = ring_.pop(segments, chain);
      if (status != virtio::PopStatus::chain) [[unlikely]] {
        if (status == virtio::PopStatus::overlong && first != 0) return take_back(Outcome::plan_full);
        // All the driver can post is in hand, or in too many pieces: waiting would not help.
        const bool never = status == virtio::PopStatus::overlong || buffers == ring_.size();
        return take_back(never ? Outcome::never_fits : Outcome::no_room);
      }
      if (chain.readable != 0 || chain.writable_bytes < sizeof(NetHeader)) [[unlikely]] {
        // 5.1.6.3.1: buffers are writable and at least as large as the header.
        useless_buffer_ = true;
        return take_back(Outcome::no_room);
      }
      // 5.1.6.4: every buffer but the last is filled completely.
      const auto used =
          static_cast<std::uint32_t>(std::min<std::uint64_t>(chain.writable_bytes, needed - room));
      ring_.complete(chain.id, used);
      room += used;
      ++buffers;
    } while (room < needed && mergeable);
    if (room < needed) [[unlikely]]
      return take_back(Outcome::never_fits);  // the buffer stays for a frame that fits
    placement.add(frame, encode_header(frame.offload, rules.accepted, buffers), first);
    return Outcome::placed;
  }

  /// Takes a place in the order of publishing for what was staged so far.
  [[nodiscard]] unsigned queue_up() noexcept {
    waiting_[next_turn_ % waiting_.size()] = {ring_.staged(), false};
    return next_turn_++;
  }
  /// The frames of that turn are in their buffers. True if the driver wants an interrupt.
  [[nodiscard]] bool publish(unsigned turn) noexcept {
    waiting_[turn % waiting_.size()].ready = true;
    if (turn != oldest_turn_) return false;
    std::uint16_t end = 0;
    do {
      end = waiting_[oldest_turn_++ % waiting_.size()].staged;
    } while (oldest_turn_ != next_turn_ && waiting_[oldest_turn_ % waiting_.size()].ready);
    return ring_.flush(end);
  }

  struct Turn {
    std::uint16_t staged = 0;
    bool ready = false;
  };

  Ring ring_;
  std::array<virtio::SingleChain, vswitch::kBurstFrames> singles_;
  std::array<Turn, vswitch::kMaxWorkers> waiting_;
  unsigned oldest_turn_ = 0;
  unsigned next_turn_ = 0;
  bool useless_buffer_ = false;
};

}  // namespace patchbay::devices::net
