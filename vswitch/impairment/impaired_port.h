// A port in front of another: what the attached node sends is delayed, lost, reordered, duplicated, corrupted
// and limited in rate on its way into the switch. What the switch sends to the node passes untouched.
//
// Frames are impaired as a wire carries them: checksums are completed and large frames cut, then copied, and
// their sender gets its buffers back at once. Taps and counters see a frame when it leaves the impairment, as
// a capture on a Linux interface with a netem qdisc does. Where the destination lets frames wait (a lossless
// wire), nothing more is taken from the sender until they are gone.
//
// A card with several queues sends through one impairment, as all its frames go over one link: its sources
// are pulled in turn by the worker of this port's only one.
//
// Threads: as Port says; push(), accepts() and set_link() use nothing of this object but the port behind it,
// so they may run beside the others. configure() and held() run where pull() does.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "vswitch/file_descriptor.h"
#include "vswitch/impairment/frame_store.h"
#include "vswitch/impairment/impairment.h"
#include "vswitch/impairment/link_model.h"
#include "vswitch/impairment/time_source.h"
#include "vswitch/port.h"

namespace patchbay::vswitch {

class ImpairedPort final : public Port {
 public:
  struct Options {
    std::uint64_t seed = 0;  // of the random numbers: seed_of() the link end
    // Room for the frames that are held; memory is touched as it is needed. 10 Gbit/s for 50 ms.
    std::size_t bytes = std::size_t{64} << 20;
    std::size_t frames = 65536;
    const TimeSource* time = &monotonic_time();
  };

  /// `inner` must outlive this port. Throws std::system_error if there is no memory or descriptor for it.
  ImpairedPort(Port& inner, const Impairment& impairment, const Options& options);

  /// Impairs the frames that come from now on; those that are held keep their time. With nothing to impair,
  /// all that are held leave at once, and afterwards the port is as good as the one behind it.
  void configure(const Impairment& impairment);
  [[nodiscard]] const Impairment& impairment() const noexcept { return model_.impairment(); }
  /// Frames that were taken from the sender and have not left.
  [[nodiscard]] std::size_t held() const noexcept { return store_.waiting() + due_count_; }
  [[nodiscard]] Port& inner() const noexcept { return inner_; }

  void pull(Burst& burst) override;
  void release(std::size_t consumed) override;
  [[nodiscard]] std::size_t push(std::span<const FrameView* const> frames) override {
    return inner_.push(frames);
  }
  [[nodiscard]] OffloadSet accepts() const noexcept override { return inner_.accepts(); }
  /// Readable when the port behind has frames or one that is held is about to be due. Negative if that port's
  /// is.
  [[nodiscard]] int wake_fd() const noexcept override { return wake_.get(); }
  [[nodiscard]] bool arm() override;
  void disarm() override;
  void set_link(bool up) override { inner_.set_link(up); }

 private:
  using Nanoseconds = std::chrono::nanoseconds;

  struct Scratch {
    Burst pulled;
    Burst segments;
  };

  /// Pulls from the queues of the port behind, the next one first, until one has frames.
  void pull_inner(Burst& burst);
  [[nodiscard]] bool arm_inner();
  void collect_due(Nanoseconds now) noexcept;
  /// Takes one burst from the port behind; false if there was none.
  bool take_in() noexcept;
  void admit(const FrameView& frame, Nanoseconds now) noexcept;
  void hold(const FrameView& frame, Nanoseconds now) noexcept;
  void drop(const FrameView& frame, DropReason reason) noexcept;
  void set_timer(Nanoseconds at) noexcept;
  void look_for_errors() noexcept;
  bool watch_inner() noexcept;

  Port& inner_;
  const TimeSource& time_;
  LinkModel model_;
  FrameStore store_;
  std::unique_ptr<Scratch> scratch_;
  std::size_t next_queue_ = 0;
  Source* pulled_ = nullptr;  // the queue of the last pull_inner()
  // Frames that are due and were shown to the switch, which has not consumed them.
  std::array<FrameStore::Slot, kBurstFrames> due_;
  std::size_t due_count_ = 0;
  bool passes_through_ = false;  // the pull under way is the inner port's own

  FileDescriptor wake_;   // epoll over timer_ and the inner port's descriptor
  FileDescriptor timer_;  // CLOCK_MONOTONIC
  bool armed_ = false;
  bool timer_set_ = false;
  bool inner_broken_ = false;  // its descriptor reports errors only: not watched until retry_at_
  Nanoseconds retry_at_{0};
};

}  // namespace patchbay::vswitch
