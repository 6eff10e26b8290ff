#include "vswitch/impairment/impaired_port.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>

#include "vswitch/offload/completion.h"
#include "vswitch/offload/segmentation_plan.h"

namespace patchbay::vswitch {

namespace {

// Of a port whose descriptor reports an error, such as a TAP whose interface was deleted.
constexpr std::chrono::nanoseconds kBrokenRetry{1'000'000'000};

// A thread that sleeps wakes some 50 us late: wake it early, and let it poll the rest of the time.
constexpr std::chrono::nanoseconds kWakeEarly{50'000};

constexpr std::uint32_t kInner = 0, kTimer = 1;  // in epoll_event::data

bool watch(int set, int descriptor, std::uint32_t which) noexcept {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = which;
  return ::epoll_ctl(set, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

}  // namespace

ImpairedPort::ImpairedPort(Port& inner, const Impairment& impairment, const Options& options)
    : Port(inner),
      inner_(inner),
      time_(*options.time),
      model_(impairment, options.seed),
      store_(options.bytes, options.frames),
      scratch_(std::make_unique<Scratch>()) {
  bool can_tell = true;
  for (std::size_t queue = 0; queue < inner_.source_count(); ++queue)
    can_tell &= inner_.source(queue).wake_fd() >= 0;
  if (!can_tell) return;
  wake_ = FileDescriptor(::epoll_create1(EPOLL_CLOEXEC));
  timer_ = FileDescriptor(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!wake_ || !timer_ || !watch(wake_.get(), timer_.get(), kTimer) || !watch_inner()) {
    throw std::system_error(errno, std::generic_category(), name() + ": cannot set up an impairment's timer");
  }
}

void ImpairedPort::configure(const Impairment& impairment) {
  model_.configure(impairment);
  if (impairment.any() || store_.waiting() == 0) return;
  store_.release_all();
  // It may be asleep.
  if (armed_) set_timer(Nanoseconds(0));
}

void ImpairedPort::pull(Burst& burst) {
  if (held() == 0 && !model_.impairment().any()) {
    pull_inner(burst);
    passes_through_ = !burst.empty();
    return;
  }
  const bool left_over = due_count_ != 0;
  if (store_.waiting() != 0) collect_due(time_.now());
  // One large frame can make more frames than leave in one pull: those first, while the sender waits.
  if (!left_over && due_count_ < due_.size() && take_in()) collect_due(time_.now());
  // A stored frame has one piece, so that a whole burst of them fits.
  for (std::size_t i = 0; i < due_count_; ++i)
    store_.show(due_[i], burst);
}

void ImpairedPort::collect_due(Nanoseconds now) noexcept {
  while (due_count_ < due_.size() && store_.waiting() != 0 && store_.next_due() <= now)
    due_[due_count_++] = store_.take();
}

void ImpairedPort::release(std::size_t consumed) {
  if (passes_through_) {
    passes_through_ = false;
    pulled_->release(consumed);
    return;
  }
  for (std::size_t i = 0; i < consumed; ++i)
    store_.free(due_[i]);
  std::copy(due_.begin() + static_cast<std::ptrdiff_t>(consumed),
            due_.begin() + static_cast<std::ptrdiff_t>(due_count_), due_.begin());
  due_count_ -= consumed;
}

bool ImpairedPort::take_in() noexcept {
  Burst& pulled = scratch_->pulled;
  pulled.clear();
  pull_inner(pulled);
  if (pulled.empty()) return false;
  // Not before: a frame must not be delayed by less than it should be.
  const Nanoseconds now = time_.now();
  std::array<const FrameView*, kBurstFrames> valid;
  std::size_t count = 0;
  bool work_left = false;
  for (const FrameView& frame : pulled.frames()) {
    const bool offload =
        (frame.offload.flags & Offload::kNeedsChecksum) != 0 || frame.offload.gso_type != Offload::kGsoNone;
    if (offload && !offload::is_valid(frame)) {
      drop(frame, DropReason::bad_offload);
      continue;
    }
    work_left |= offload;
    valid[count++] = &frame;
  }
  const auto frames = std::span(valid).first(count);
  if (!work_left) {
    for (const FrameView* const frame : frames)
      admit(*frame, now);
  } else {
    offload::Completion completion(frames, OffloadSet{}, pulled, scratch_->segments);
    for (auto batch = completion.next(); !batch.empty(); batch = completion.next()) {
      for (const FrameView* const frame : batch)
        admit(*frame, now);
    }
  }
  pulled_->release(pulled.size());
  return true;
}

void ImpairedPort::pull_inner(Burst& burst) {
  for (std::size_t tried = 0; tried < inner_.source_count() && burst.empty(); ++tried) {
    pulled_ = &inner_.source(next_queue_);
    if (++next_queue_ == inner_.source_count()) next_queue_ = 0;
    pulled_->pull(burst);
  }
}

bool ImpairedPort::arm_inner() {
  bool waiting = false;
  for (std::size_t queue = 0; queue < inner_.source_count(); ++queue)
    waiting |= inner_.source(queue).arm();
  return waiting;
}

void ImpairedPort::admit(const FrameView& frame, Nanoseconds now) noexcept {
  const unsigned copies = model_.copies();
  if (copies == 0) return drop(frame, DropReason::impairment_loss);
  if (copies == 2) {
    if (model_.loses_duplicate()) {
      drop(frame, DropReason::impairment_loss);
    } else {
      hold(frame, now);
    }
  }
  hold(frame, now);
}

void ImpairedPort::hold(const FrameView& frame, Nanoseconds now) noexcept {
  const std::optional<std::uint32_t> flipped_bit = model_.corrupted_bit(frame.length);
  const std::optional<Nanoseconds> due = model_.arrival(now, frame.length);
  if (!due || !store_.add(frame, *due, flipped_bit)) drop(frame, DropReason::impairment_queue);
}

void ImpairedPort::drop(const FrameView& frame, DropReason reason) noexcept {
  counters.in.frames.add();
  counters.in.bytes.add(frame.length);
  counters.in.drop(reason);
}

bool ImpairedPort::arm() {
  if (due_count_ != 0) return true;
  const Nanoseconds now = time_.now();
  if (store_.waiting() != 0 && store_.next_due() - kWakeEarly <= now) return true;
  if (inner_broken_ && now >= retry_at_) inner_broken_ = !watch_inner();
  if (arm_inner()) return true;
  armed_ = true;
  std::optional<Nanoseconds> next;
  if (store_.waiting() != 0) next = store_.next_due() - kWakeEarly;
  if (inner_broken_) next = std::min(next.value_or(retry_at_), retry_at_);
  if (next) set_timer(*next);
  return false;
}

void ImpairedPort::disarm() {
  if (armed_) {
    armed_ = false;
    look_for_errors();
  }
  if (timer_set_) {
    timer_set_ = false;
    const itimerspec off{};
    ::timerfd_settime(timer_.get(), 0, &off, nullptr);
  }
  for (std::size_t queue = 0; queue < inner_.source_count(); ++queue)
    inner_.source(queue).disarm();
}

// In this set's own epoll an error counts as readable, so it would wake the worker again and again.
void ImpairedPort::look_for_errors() noexcept {
  std::array<epoll_event, 16> events;
  const int count = ::epoll_wait(wake_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.u32 != kInner || (event.events & EPOLLIN) != 0) continue;
    for (std::size_t queue = 0; queue < inner_.source_count(); ++queue)
      ::epoll_ctl(wake_.get(), EPOLL_CTL_DEL, inner_.source(queue).wake_fd(), nullptr);
    inner_broken_ = true;
    retry_at_ = time_.now() + kBrokenRetry;
  }
}

bool ImpairedPort::watch_inner() noexcept {
  for (std::size_t queue = 0; queue < inner_.source_count(); ++queue) {
    if (!watch(wake_.get(), inner_.source(queue).wake_fd(), kInner)) return false;
  }
  return true;
}

void ImpairedPort::set_timer(Nanoseconds at) noexcept {
  // A time of zero would turn it off.
  const std::int64_t ns = std::max<std::int64_t>(at.count(), 1);
  constexpr std::int64_t kSecond = 1'000'000'000;
  itimerspec time{};
  time.it_value.tv_sec = ns / kSecond;
  time.it_value.tv_nsec = ns % kSecond;
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &time, nullptr);
  timer_set_ = true;
}

}  // namespace patchbay::vswitch
