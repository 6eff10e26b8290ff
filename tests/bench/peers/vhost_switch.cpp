// The switch with vhost-user ports and nothing else: one segment, one worker on a CPU of its own. What
// tests/bench/peers/run measures against OVS-DPDK and testpmd.
//
//   vhost_switch bridge|wire|bare CPU SOCKET SOCKET...
//
// Listens on the sockets, runs until SIGTERM or SIGINT, then prints the counters as JSON.
#include <poll.h>
#include <sys/signalfd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "devices/vhost_user/endpoint.h"
#include "devices/vhost_user/vhost_user_port.h"
#include "tests/bench/peers/bare_loop.h"
#include "vswitch/bridge.h"
#include "vswitch/wire.h"
#include "vswitch/worker.h"

namespace {

using namespace patchbay;
using devices::vhost_user::Endpoint;
using devices::vhost_user::VhostUserPort;

void print(const vswitch::SegmentSnapshot& snapshot, const vswitch::Worker::Stats& stats) {
  fmt::print("{{\"passes\": {}, \"sleeps\": {}, \"ports\": [", stats.passes, stats.sleeps);
  const char* separator = "";
  for (const auto& port : snapshot.ports) {
    std::uint64_t dropped_in = 0;
    std::uint64_t dropped_out = 0;
    for (const std::uint64_t n : port.in.dropped)
      dropped_in += n;
    for (const std::uint64_t n : port.out.dropped)
      dropped_out += n;
    fmt::print(
        "{}{{\"name\": \"{}\", \"in\": {}, \"forwarded\": {}, \"dropped_in\": {}, \"offered\": {}, "
        "\"delivered\": {}, \"dropped_out\": {}}}",
        separator, port.name, port.in.frames, port.in.forwarded, dropped_in, port.out.offered,
        port.out.delivered, dropped_out);
    separator = ", ";
  }
  fmt::print("]}}\n");
}

int run(const std::string& kind, int cpu, const std::vector<std::string>& sockets) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const devices::FileDescriptor stop(::signalfd(-1, &signals, SFD_CLOEXEC));

  if (kind == "bare") {
    bench::run_bare_loop(sockets, cpu, stop.get());
    return 0;
  }

  std::unique_ptr<vswitch::Segment> segment;
  if (kind == "wire") {
    segment = std::make_unique<vswitch::Wire>("wire", vswitch::Wire::Options{});
  } else {
    segment = std::make_unique<vswitch::Bridge>("bridge", vswitch::Bridge::Options{});
  }
  std::vector<std::unique_ptr<VhostUserPort>> ports;
  std::vector<std::unique_ptr<Endpoint>> endpoints;
  std::vector<pollfd> watched{{stop.get(), POLLIN, 0}};
  for (const std::string& socket : sockets) {
    ports.push_back(
        std::make_unique<VhostUserPort>(socket, devices::vhost_user::VhostUserConfig{.mtu = 9000}));
    endpoints.push_back(std::make_unique<Endpoint>(socket, Endpoint::Role::server, *ports.back()));
    watched.push_back({endpoints.back()->fd(), POLLIN, 0});
  }
  vswitch::Worker worker({.name = "switch", .cpu = cpu, .on_start = {}, .on_stop = {}});
  worker.run([&] {
    for (const auto& port : ports) {
      port->set_shared(false);  // one worker
      worker.add(*segment, segment->attach(*port));
    }
  });

  std::vector<std::string> shown(endpoints.size());
  for (;;) {
    if (::poll(watched.data(), watched.size(), -1) < 0) continue;
    if (watched[0].revents != 0) break;
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
      if (watched[i + 1].revents == 0) continue;
      endpoints[i]->handle();
      const auto state = endpoints[i]->state();
      if (state.last_error != shown[i]) fmt::print(stderr, "{}: {}\n", sockets[i], state.last_error);
      shown[i] = state.last_error;
    }
  }
  endpoints.clear();
  worker.stop();
  print(segment->snapshot(), worker.stats());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::string kind = arguments.empty() ? "" : arguments[0];
  if (arguments.size() < 4 || (kind != "bridge" && kind != "wire" && kind != "bare")) {
    std::fprintf(stderr, "usage: vhost_switch bridge|wire|bare CPU SOCKET SOCKET...\n");
    return 2;
  }
  try {
    return run(kind, std::atoi(arguments[1].c_str()), {arguments.begin() + 2, arguments.end()});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "vhost_switch: %s\n", error.what());
    return 1;
  }
}
