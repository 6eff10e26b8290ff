#include "vswitch/host_tuning.h"

#include <sched.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <thread>

#include "vswitch/file_descriptor.h"

namespace patchbay::vswitch {

namespace {

using std::chrono::nanoseconds;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kTries = 9;
// Of the tries in order: what a wake-up costs by itself, not what a host that is busy just now adds to it.
constexpr std::size_t kQuartile = kTries / 4;
constexpr nanoseconds kUntilAsleep{100'000};

}  // namespace

unsigned usable_cpus() noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  // More processors than a cpu_set_t holds are an error, and plenty.
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<unsigned>(CPU_COUNT(&set)) : CPU_SETSIZE;
}

nanoseconds measure_wake_up() {
  const FileDescriptor signal(::eventfd(0, EFD_CLOEXEC));
  if (!signal) throw std::system_error(errno, std::generic_category(), "eventfd to time a wake-up");
  std::atomic<Clock::rep> woken{0};
  std::thread sleeper([&] {
    for (std::size_t i = 0; i < kTries; ++i) {
      eventfd_t ignored = 0;
      while (::eventfd_read(signal.get(), &ignored) != 0) {
      }
      woken.store(Clock::now().time_since_epoch().count());
      woken.notify_one();
    }
  });
  std::array<nanoseconds, kTries> tries;
  for (nanoseconds& time : tries) {
    std::this_thread::sleep_for(kUntilAsleep);
    const nanoseconds sent = Clock::now().time_since_epoch();
    ::eventfd_write(signal.get(), 1);
    woken.wait(0);
    time = nanoseconds(woken.exchange(0)) - sent;
  }
  sleeper.join();
  std::nth_element(tries.begin(), tries.begin() + kQuartile, tries.end());
  return tries[kQuartile];
}

nanoseconds polling_time(nanoseconds wake_up, unsigned cpus) noexcept {
  constexpr nanoseconds kLeast{50'000};
  constexpr nanoseconds kMost{1'000'000};
  if (cpus <= 1) return kLeast;
  return std::clamp(wake_up, kLeast / 10, kMost / 10) * 10;
}

const PollSet::Tuning& host_tuning() {
  static const PollSet::Tuning tuning{.sleep_after = polling_time(measure_wake_up(), usable_cpus())};
  return tuning;
}

}  // namespace patchbay::vswitch
