// What a capture costs the worker, per frame: the filter, and recording into the ring, in bursts of 32.
// Time per iteration is that of one frame.
#include <benchmark/benchmark.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "tests/unit/capture/test_frame.h"
#include "vswitch/capture/filter.h"
#include "vswitch/capture/session.h"

namespace patchbay::vswitch::capture {
namespace {

constexpr std::size_t kBurst = 32;

/// A TCP frame of `length` bytes, FCS included as usual for frame sizes.
std::vector<std::byte> tcp_frame(std::int64_t length) {
  return ip_frame(6, 80, static_cast<std::size_t>(length) - 4 - 54);
}

void filter(benchmark::State& state, const char* expression) {
  Filter filter(expression);
  const TestFrame frame(tcp_frame(state.range(0)));
  for (auto _ : state) {
    benchmark::DoNotOptimize(filter.matches(frame.view()));
  }
}
BENCHMARK_CAPTURE(filter, icmp, "icmp")->Arg(64);
BENCHMARK_CAPTURE(filter, port_and_host, "tcp port 80 and host 10.0.0.1")->Arg(64)->Arg(1518);
BENCHMARK_CAPTURE(filter, tcp_flags, "tcp[tcpflags] & tcp-syn != 0")->Arg(64)->Arg(1518);
BENCHMARK_CAPTURE(filter, payload, "ether[1000:2] = 5")->Arg(1518);

/// The writer's side runs between the timed bursts, as it would on the other core.
void record(benchmark::State& state, const char* expression) {
  CaptureInterface interface;
  interface.name = "r1:eth0";
  CaptureSession session({interface}, {.filter = expression});
  const TestFrame frame(tcp_frame(state.range(0)));
  const std::vector<const FrameView*> burst(kBurst, &frame.view());
  std::vector<std::byte> buffer(kMinReadBytes);
  std::size_t since_read = 0;
  while (state.KeepRunningBatch(kBurst)) {
    session.tap(0).frames(Direction::from_port, burst);
    since_read += kBurst;
    if (since_read < 1024) continue;
    since_read = 0;
    state.PauseTiming();
    while (session.read(buffer) != 0) {
    }
    state.ResumeTiming();
  }
  if (session.statistics(0).dropped != 0) state.SkipWithError("the ring overflowed");
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(record, all, "")->Arg(64)->Arg(1518);
BENCHMARK_CAPTURE(record, matching, "tcp port 80")->Arg(64)->Arg(1518);
BENCHMARK_CAPTURE(record, filtered_out, "udp")->Arg(64)->Arg(1518);

}  // namespace
}  // namespace patchbay::vswitch::capture
