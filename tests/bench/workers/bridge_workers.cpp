// How a bridge grows with its workers: the program behind tests/bench/workers/measure.
//
//   bridge_workers PATTERN WORKERS MILLISECONDS [packed]
//
// Two guests send bursts of 32 frames of 64 bytes as fast as they can. Patterns: `pairs`, each to a guest of
// its own; `shared`, both to the same guest. One worker has all guests; of two, each has one sender on a core of
// its own, and takes the part of the guests' drivers as well. Output: millions of frames delivered a second.
#include <pthread.h>
#include <sched.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/ports/driven_guest.h"
#include "vswitch/bridge.h"
#include "vswitch/poll_set.h"

namespace patchbay::bench {
namespace {

using Clock = vswitch::PollSet::Clock;
constexpr std::size_t kBurst = 32;
constexpr std::size_t kSenders = 2;
constexpr std::size_t kGuests = 2 * kSenders;  // senders first, then those they send to

struct Load {
  bool shared = false;
  std::size_t workers = 1;
  std::chrono::milliseconds time{0};
  bool packed = false;
};

class Bench {
 public:
  explicit Bench(const Load& load) : load_(load) {
    for (std::size_t i = 0; i < kGuests; ++i) {
      if (load.packed) {
        guests_.push_back(std::make_unique<DrivenGuest<devices::testing::PackedDriverRing>>(i));
      } else {
        guests_.push_back(std::make_unique<DrivenGuest<devices::testing::DriverRing>>(i));
      }
      guests_.back()->port().set_shared(load.workers > 1);
      indices_[i] = bridge_.attach(guests_.back()->port());
    }
    // Every address is known before anything is measured.
    vswitch::PollSet all({}, -1);
    const auto space = std::make_unique<vswitch::Workspace>();
    for (std::size_t i = 0; i < kGuests; ++i) {
      all.add(bridge_, indices_[i], 0, Clock::now());
      guests_[i]->send(1, i, 1, kGuests);  // to itself: learned, and dropped
      all.pass(*space, Clock::now());
      guests_[i]->reclaim();
    }
    for (std::size_t i = 0; i < kGuests; ++i)
      all.remove(bridge_, indices_[i]);
  }

  /// Millions of frames a second.
  double run() {
    const std::uint64_t before = delivered();
    std::vector<std::thread> workers;
    std::atomic<std::size_t> ready{0};
    const auto start = Clock::now();
    for (std::size_t number = 0; number < load_.workers; ++number) {
      workers.emplace_back([&, number] {
        cpu_set_t cpu;
        CPU_ZERO(&cpu);
        CPU_SET(number, &cpu);
        ::pthread_setaffinity_np(::pthread_self(), sizeof cpu, &cpu);
        ++ready;
        while (ready < load_.workers) {
        }
        work(number, Clock::now() + load_.time);
      });
    }
    for (std::thread& worker : workers)
      worker.join();
    const std::chrono::duration<double, std::micro> took = Clock::now() - start;
    return static_cast<double>(delivered() - before) / took.count();
  }

 private:
  void work(std::size_t number, Clock::time_point end) {
    vswitch::PollSet polled({}, -1);
    const auto space = std::make_unique<vswitch::Workspace>();
    std::vector<std::size_t> senders, receivers;
    for (std::size_t sender = number; sender < kSenders; sender += load_.workers) {
      polled.add(bridge_, indices_[sender], 0, Clock::now());
      senders.push_back(sender);
      if (!load_.shared || sender == 0) receivers.push_back(kSenders + sender);
    }
    for (auto now = Clock::now(); now < end; now = Clock::now()) {
      for (int round = 0; round < 16; ++round) {
        for (const std::size_t sender : senders)
          guests_[sender]->send(kBurst, load_.shared ? kSenders : kSenders + sender, 1, kGuests);
        polled.pass(*space, now);
        for (const std::size_t sender : senders)
          guests_[sender]->reclaim();
        for (const std::size_t receiver : receivers)
          guests_[receiver]->reclaim();
      }
    }
    for (const std::size_t sender : senders)
      polled.remove(bridge_, indices_[sender]);
  }

  [[nodiscard]] std::uint64_t delivered() const {
    std::uint64_t sum = 0;
    for (const auto& guest : guests_)
      sum += guest->port().counters.out.delivered.value();
    return sum;
  }

  const Load load_;
  std::vector<std::unique_ptr<Guest>> guests_;
  vswitch::Bridge bridge_{"lan", {}};
  std::array<vswitch::PortIndex, kGuests> indices_{};
};

Load parse(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 3 || words.size() > 4 || (words[0] != "pairs" && words[0] != "shared"))
    throw std::runtime_error("usage: bridge_workers pairs|shared 1|2 MILLISECONDS [packed]");
  Load load;
  load.shared = words[0] == "shared";
  load.workers = std::stoul(words[1]);
  load.time = std::chrono::milliseconds(std::stoul(words[2]));
  load.packed = words.size() > 3;
  if (load.workers == 0 || load.workers > kSenders) throw std::runtime_error("one or two workers");
  return load;
}

}  // namespace
}  // namespace patchbay::bench

int main(int argc, char** argv) {
  try {
    std::printf("%.3f\n", patchbay::bench::Bench(patchbay::bench::parse(argc, argv)).run());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bridge_workers: %s\n", error.what());
    return 1;
  }
  return 0;
}
