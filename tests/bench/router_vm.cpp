// Frames per second through the router as a virtual machine: a generator and a sink in the switch on one
// processor, the router's vCPU on another, lossless wires between them. What is measured is what arrives at
// the sink.

#include <benchmark/benchmark.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <thread>

#include "tests/integration/router/frames.h"
#include "tests/integration/router/router_vm.h"
#include "vswitch/file_descriptor.h"
#include "vswitch/port.h"

namespace patchbay::tests {
namespace {

using namespace std::chrono_literals;

constexpr int kSwitchCpu = 0;
constexpr int kRouterCpu = 1;
constexpr Mac kHostMac{0x02, 0, 0, 0, 0x02, 0};
constexpr Ipv4 kSource{10, 0, 0, 2};
constexpr Ipv4 kDestination{10, 0, 1, 2};
constexpr char kConfiguration[] =
    "interface eth0\n"
    " ip address 10.0.0.1/24\n"
    "interface eth1\n"
    " ip address 10.0.1.1/24\n";

/// A host at the end of a wire that sends one frame for ever, counts what it receives, and answers ARP
/// requests.
class LoadPort final : public vswitch::Port {
 public:
  LoadPort(std::string name, Mac mac, Ipv4 address)
      : Port(std::move(name)), mac_(mac), address_(address), wake_(::eventfd(0, EFD_NONBLOCK)) {}

  void start(Frame frame) {
    load_ = std::move(frame);
    sending_.store(true, std::memory_order_release);
    static_cast<void>(::eventfd_write(wake_.get(), 1));
  }
  void stop() { sending_.store(false, std::memory_order_release); }
  [[nodiscard]] std::uint64_t received() const { return received_.load(std::memory_order_relaxed); }

  void pull(vswitch::Burst& burst) override {
    if (!reply_.empty()) {
      append(burst, reply_);
      return;
    }
    if (!sending_.load(std::memory_order_acquire)) return;
    while (burst.has_room())
      append(burst, load_);
  }
  void release(std::size_t) override { reply_.clear(); }
  [[nodiscard]] std::size_t push(std::span<const vswitch::FrameView* const> frames) override {
    std::uint64_t bytes = 0;
    for (const vswitch::FrameView* view : frames) {
      bytes += view->length;
      if (view->header[12] == std::byte{kEtherTypeArp >> 8} &&
          view->header[13] == std::byte{kEtherTypeArp & 0xFF}) {
        answer(*view);
      }
    }
    counters.out.delivered.add(frames.size());
    counters.out.bytes.add(bytes);
    received_.store(received_.load(std::memory_order_relaxed) + frames.size(), std::memory_order_relaxed);
    return frames.size();
  }
  [[nodiscard]] int wake_fd() const noexcept override { return wake_.get(); }
  [[nodiscard]] bool arm() override { return !reply_.empty() || sending_.load(std::memory_order_acquire); }
  void disarm() override {
    eventfd_t ignored = 0;
    static_cast<void>(::eventfd_read(wake_.get(), &ignored));
  }
  void set_link(bool) override {}

 private:
  static void append(vswitch::Burst& burst, const Frame& frame) {
    const auto bytes = std::as_bytes(std::span(frame));
    const std::size_t head = std::min(bytes.size(), vswitch::kHeaderBytes);
    vswitch::FrameView& view = burst.next();
    view.length = static_cast<std::uint32_t>(bytes.size());
    view.offload = {};
    std::copy_n(bytes.begin(), head, view.header.begin());
    if (head < bytes.size()) burst.next_pieces()[0] = bytes.subspan(head);
    burst.commit(head < bytes.size() ? 1 : 0);
  }

  void answer(const vswitch::FrameView& view) {
    const auto bytes = view.header_bytes();
    Frame frame(bytes.size());
    std::transform(bytes.begin(), bytes.end(), frame.begin(),
                   [](std::byte b) { return static_cast<std::uint8_t>(b); });
    const auto request = parse_arp(frame);
    if (!request || request->operation != 1 || request->target != address_) return;
    reply_ = make_arp({request->sender_mac, mac_},
                      {2, mac_, request->target, request->sender_mac, request->sender});
    static_cast<void>(::eventfd_write(wake_.get(), 1));
  }

  const Mac mac_;
  const Ipv4 address_;
  vswitch::FileDescriptor wake_;
  Frame load_;
  Frame reply_;  // the worker's
  std::atomic<bool> sending_{false};
  std::atomic<std::uint64_t> received_{0};
};

/// Argument: frame length including the 4 bytes of FCS that RFC 2544 counts and the switch does not carry.
void forward(benchmark::State& state) {
  LoadPort generator("generator", kHostMac, kSource);
  LoadPort sink("sink", kHostMac, kDestination);
  RouterVm::Options options;
  options.configuration = kConfiguration;
  options.switch_cpu = kSwitchCpu;
  RouterVm router(options, {&generator, &sink});
  router.power_on();
  if (!router.wait_for_console(" ready in ", 2s)) {
    state.SkipWithError("the router did not start");
    return;
  }
  router.pin_vcpu(kRouterCpu);

  const auto length = static_cast<std::size_t>(state.range(0)) - 4;
  const std::size_t datagram = length - 14 - 20;
  const Frame frame = make_ipv4({RouterVm::mac(0), kHostMac},
                                {kSource, kDestination, 64, kUdp, 0, true, make_datagram(0, datagram)});
  const auto run_dry = [&generator, &sink] {
    generator.stop();
    for (std::uint64_t seen = 0; seen != sink.received();) {
      seen = sink.received();
      std::this_thread::sleep_for(50ms);
    }
  };
  generator.start(frame);
  std::this_thread::sleep_for(200ms);  // ARP, for which frames are dropped, and every buffer touched
  run_dry();
  const std::uint64_t sent_before = generator.counters.in.forwarded.value();
  const std::uint64_t received_before = sink.received();
  const auto exits_before = router.machine().statistics().exits;
  generator.start(frame);
  std::this_thread::sleep_for(20ms);
  std::uint64_t frames = 0;
  for (auto iteration : state) {
    static_cast<void>(iteration);
    const auto start = std::chrono::steady_clock::now();
    const std::uint64_t before = sink.received();
    std::this_thread::sleep_for(250ms);
    frames += sink.received() - before;
    state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  run_dry();
  const auto exits_after = router.machine().statistics().exits;
  std::uint64_t exits = 0;
  for (std::size_t i = 0; i < exits_after.size(); ++i)
    exits += exits_after[i] - exits_before[i];
  state.counters["frames/s"] = benchmark::Counter(static_cast<double>(frames), benchmark::Counter::kIsRate);
  state.counters["Gbit/s"] =
      benchmark::Counter(static_cast<double>(frames * length * 8) / 1e9, benchmark::Counter::kIsRate);
  state.counters["exits"] = static_cast<double>(exits);
  state.counters["lost"] = static_cast<double>((generator.counters.in.forwarded.value() - sent_before) -
                                               (sink.received() - received_before));
}
BENCHMARK(forward)->Arg(64)->Arg(512)->Arg(1518)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(8);

}  // namespace
}  // namespace patchbay::tests
