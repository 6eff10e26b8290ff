// What a frame of 64 bytes costs in a learning bridge, by number of ports: the program behind
// tests/bench/ports/measure.
//
//   bridge_ports PATTERN PORTS ROUNDS [BURST] [packed]
//
// Patterns: `ring`, every port sends to the next; `pair`, two ports send to each other and the others sleep;
// `mesh`, every port sends to all others in turn. Each round every sending guest makes BURST frames
// available, and one pass of a worker's poll set forwards them. The first line of output has the frames
// forwarded in the measured rounds and the nanoseconds of the passes per frame (median of 9 parts of the
// run). Under callgrind, measured_pass() alone is to be counted
// (--toggle-collect), which leaves the guests' drivers out.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <x86intrin.h>

#include "tests/bench/ports/driven_guest.h"
#include "vswitch/bridge.h"
#include "vswitch/poll_set.h"

namespace patchbay::bench {

/// Named for callgrind; a call per pass, so it must stay one.
extern "C" [[gnu::noinline]] void measured_pass(vswitch::PollSet& ports, vswitch::Workspace& workspace,
                                                vswitch::PollSet::Clock::time_point now) {
  ports.pass(workspace, now);
}

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kParts = 9;

struct Load {
  std::string pattern;
  std::size_t ports = 2;
  std::size_t rounds = 0;
  std::size_t burst = 32;  // what a guest that polls sends at once
  bool packed = false;
};

class Bench {
 public:
  explicit Bench(const Load& load) : load_(load), bridge_("lan", {}), polled_({}, -1) {
    for (std::size_t i = 0; i < load.ports; ++i) {
      if (load.packed) {
        guests_.push_back(std::make_unique<DrivenGuest<devices::testing::PackedDriverRing>>(i));
      } else {
        guests_.push_back(std::make_unique<DrivenGuest<devices::testing::DriverRing>>(i));
      }
      guests_.back()->port().set_shared(false);  // one worker
      polled_.add(bridge_, bridge_.attach(guests_.back()->port()), 0, now_);
    }
    learn();
  }

  /// Frames that arrived in `rounds` rounds. Adds the passes' time stamp counter ticks to `ticks`; without,
  /// nothing is measured.
  std::size_t run(std::size_t rounds, std::uint64_t* ticks) {
    const bool pair = load_.pattern == "pair";
    const std::size_t senders = pair ? 2 : load_.ports;
    const std::size_t destinations = load_.pattern == "mesh" ? load_.ports - 1 : 1;
    std::size_t received = 0;
    for (std::size_t round = 0; round < rounds; ++round) {
      for (std::size_t i = 0; i < senders; ++i)
        guests_[i]->send(load_.burst, (i + 1) % (pair ? 2 : load_.ports), destinations, load_.ports);
      if (ticks != nullptr) {
        const std::uint64_t start = __rdtsc();
        measured_pass(polled_, *workspace_, now_);
        *ticks += __rdtsc() - start;
      } else {
        polled_.pass(*workspace_, now_);
      }
      now_ += std::chrono::microseconds(1);
      for (std::size_t i = 0; i < senders; ++i)
        received += guests_[i]->reclaim();
    }
    if (received != rounds * senders * load_.burst) throw std::runtime_error("frames were lost");
    return received;
  }

 private:
  // Each address once; then ports without traffic fall asleep. Time is ours, so that runs are the same.
  void learn() {
    for (std::size_t i = 0; i < guests_.size(); ++i) {
      guests_[i]->send(1, i, 1, guests_.size());  // to itself: learned, and dropped
      polled_.pass(*workspace_, now_);
      guests_[i]->reclaim();
    }
    run(100, nullptr);
    if (bridge_.mac_entries(0).size() != guests_.size()) throw std::runtime_error("addresses are missing");
  }

  const Load& load_;
  std::vector<std::unique_ptr<Guest>> guests_;
  vswitch::Bridge bridge_;
  vswitch::PollSet polled_;
  std::unique_ptr<vswitch::Workspace> workspace_ = std::make_unique<vswitch::Workspace>();
  Clock::time_point now_{};
};

double ticks_per_nanosecond() {
  const auto start = Clock::now();
  const std::uint64_t ticks = __rdtsc();
  while (Clock::now() - start < std::chrono::milliseconds(20)) {
  }
  const std::chrono::duration<double, std::nano> took = Clock::now() - start;
  return static_cast<double>(__rdtsc() - ticks) / took.count();
}

Load parse(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 3 || words.size() > 5) {
    throw std::runtime_error("usage: bridge_ports ring|pair|mesh PORTS ROUNDS [BURST] [packed]");
  }
  Load load{words[0], std::stoul(words[1]), std::stoul(words[2])};
  if (words.size() > 3) load.burst = std::stoul(words[3]);
  load.packed = words.size() > 4 && words[4] == "packed";
  if (load.pattern != "ring" && load.pattern != "pair" && load.pattern != "mesh")
    throw std::runtime_error("unknown pattern: " + load.pattern);
  if (load.ports < 2 || load.ports > 256 || load.burst == 0 || load.burst > vswitch::kBurstFrames ||
      load.rounds < kParts) {
    throw std::runtime_error("2 to 256 ports, 1 to 64 frames a burst, at least 9 rounds");
  }
  return load;
}

}  // namespace
}  // namespace patchbay::bench

int main(int argc, char** argv) {
  using namespace patchbay::bench;
  try {
    const Load load = parse(argc, argv);
    Bench bench(load);
    const double rate = ticks_per_nanosecond();
    std::size_t frames = 0;
    std::array<double, kParts> nanoseconds;
    for (double& part : nanoseconds) {
      std::uint64_t ticks = 0;
      const std::size_t forwarded = bench.run(load.rounds / kParts, &ticks);
      part = static_cast<double>(ticks) / rate / static_cast<double>(forwarded);
      frames += forwarded;
    }
    std::nth_element(nanoseconds.begin(), nanoseconds.begin() + kParts / 2, nanoseconds.end());
    std::printf("%zu %.2f\n", frames, nanoseconds[kParts / 2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bridge_ports: %s\n", error.what());
    return 1;
  }
  return 0;
}
