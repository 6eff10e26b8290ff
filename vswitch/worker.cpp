#include "vswitch/worker.h"

#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

#include <fmt/format.h>

#include <cerrno>
#include <ctime>
#include <future>
#include <system_error>
#include <utility>

#include "vswitch/host_tuning.h"

namespace patchbay::vswitch {

namespace {

using std::chrono::nanoseconds;

// How often a busy worker looks for wake-ups of sleeping ports, and a fruitless one lets others have the
// core.
constexpr nanoseconds kCollectEvery{5'000};
constexpr nanoseconds kYieldAfter{3'000};

FileDescriptor make_eventfd() {
  FileDescriptor fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) throw std::system_error(errno, std::generic_category(), "eventfd for a switch worker");
  return fd;
}

void pin_to(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (cpu < CPU_SETSIZE) CPU_SET(static_cast<unsigned>(cpu), &set);
  const int error = ::pthread_setaffinity_np(::pthread_self(), sizeof set, &set);
  if (error != 0) {
    throw std::system_error(error, std::generic_category(),
                            fmt::format("cannot run a switch worker on CPU {}; choose one that "
                                        "`taskset -p $$` and `nproc` allow",
                                        cpu));
  }
}

nanoseconds time_of(clockid_t clock) noexcept {
  timespec time{};
  ::clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + nanoseconds(time.tv_nsec);
}

}  // namespace

Worker::Worker(Options options)
    : options_(std::move(options)),
      interrupt_(make_eventfd()),
      workspace_(std::make_unique<Workspace>()),
      ports_(host_tuning(), interrupt_.get()) {
  std::promise<void> start;
  std::future<void> started = start.get_future();
  thread_ = std::thread([this, start = std::move(start)]() mutable {
    try {
      prepare_thread();
    } catch (...) {
      start.set_exception(std::current_exception());
      return;
    }
    start.set_value();
    loop();
    if (options_.on_stop) options_.on_stop();
    final_cpu_time_.store(time_of(CLOCK_THREAD_CPUTIME_ID).count());
  });
  try {
    started.get();
  } catch (...) {
    thread_.join();
    throw;
  }
}

Worker::~Worker() {
  stop();
}

void Worker::prepare_thread() {
  ::pthread_setname_np(::pthread_self(), options_.name.substr(0, 15).c_str());
  // Retry timers are some 10 us; the default slack of 50 us would swallow them.
  ::prctl(PR_SET_TIMERSLACK, 1000UL);
  ::pthread_getcpuclockid(::pthread_self(), &cpu_clock_);
  if (options_.cpu >= 0) pin_to(options_.cpu);
  if (options_.on_start) options_.on_start();
}

void Worker::run(const std::function<void()>& task) {
  if (std::this_thread::get_id() == thread_.get_id()) return task();
  const auto job = std::make_shared<std::packaged_task<void()>>(task);
  std::future<void> done = job->get_future();
  if (!enqueue([job] { (*job)(); })) (*job)();
  done.get();
}

void Worker::post(std::function<void()> task) {
  if (!enqueue(task)) task();
}

void Worker::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    accepting_ = false;
    tasks_.push_back([this] { stopping_ = true; });
  }
  signal_tasks();
  thread_.join();
}

bool Worker::enqueue(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    if (!accepting_) return false;
    tasks_.push_back(std::move(task));
  }
  signal_tasks();
  return true;
}

void Worker::signal_tasks() noexcept {
  tasks_waiting_.store(true, std::memory_order_release);
  ::eventfd_write(interrupt_.get(), 1);
}

void Worker::run_tasks() {
  eventfd_t ignored = 0;
  ::eventfd_read(interrupt_.get(), &ignored);
  tasks_waiting_.store(false, std::memory_order_relaxed);
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (const auto& task : tasks)
    task();
}

void Worker::loop() {
  PollSet::Clock::time_point now = PollSet::Clock::now();
  last_moved_ = last_collected_ = now;
  while (!stopping_) {
    now = PollSet::Clock::now();
    workspace_->now = static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
    if (tasks_waiting_.load(std::memory_order_acquire)) run_tasks();
    if (ports_.any_active()) {
      poll(now);
    } else if (!stopping_) {
      sleeps_.add();
      ports_.wait(/*block=*/true, now);
      if (ports_.any_active()) wake_ups_.add();
      // Also takes back a signal whose task was already run.
      run_tasks();
    }
  }
}

void Worker::poll(PollSet::Clock::time_point now) {
  passes_.add();
  const bool moved = ports_.pass(*workspace_, now);
  if (ports_.any_resting() && now - last_collected_ >= kCollectEvery) {
    last_collected_ = now;
    ports_.wait(/*block=*/false, now);
  }
  if (moved) {
    last_moved_ = now;
  } else if (now - last_moved_ >= kYieldAfter) {
    ::sched_yield();
  }
}

void Worker::add(Segment& segment, PortIndex index) {
  for (std::size_t source = 0; source < segment.port(index).source_count(); ++source)
    add(segment, index, source);
}

void Worker::add(Segment& segment, PortIndex index, std::size_t source) {
  ports_.add(segment, index, source, PollSet::Clock::now());
}

void Worker::remove(const Segment& segment, PortIndex index) {
  ports_.remove(segment, index);
}

Worker::Stats Worker::stats() const {
  const std::int64_t final_time = final_cpu_time_.load();
  return {passes_.value(), sleeps_.value(), wake_ups_.value(),
          final_time >= 0 ? nanoseconds(final_time) : time_of(cpu_clock_)};
}

}  // namespace patchbay::vswitch
