// Hosts in network namespaces on the switch: what the kernel's own stack makes of our wires and bridges.
// Every test ends with counters that balance.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <memory>
#include <numeric>
#include <string>
#include <system_error>
#include <thread>

#include "tests/integration/vswitch/network_namespace.h"
#include "tests/unit/vswitch/memory_port.h"
#include "vswitch/balance.h"
#include "vswitch/bridge.h"
#include "vswitch/switch.h"
#include "vswitch/tap_port.h"
#include "vswitch/wire.h"

namespace patchbay::vswitch {
namespace {

using namespace std::chrono_literals;
using test::NetworkNamespace;
using testing::HasSubstr;
using testing::IsEmpty;

class TapTest : public testing::Test {
 protected:
  struct Host {
    NetworkNamespace space;
    TapPort tap;
    explicit Host(unsigned n) : tap({"h" + std::to_string(n) + ":eth1", "eth1", space.fd()}) {}
  };

  void SetUp() override {
    try {
      NetworkNamespace probe;
      TapPort tap({"probe", "probe0", probe.fd()});
    } catch (const std::system_error& error) {
      if (error.code().value() != EPERM && error.code().value() != ENOENT) throw;
      GTEST_SKIP() << error.what();
    }
  }
  void TearDown() override {
    for (const SegmentSnapshot& segment : switch_.snapshot())
      EXPECT_THAT(imbalances(segment), IsEmpty());
    switch_.stop();
  }

  /// A host 10.0.0.n/24 with a TAP eth1 on `segment`.
  Host& add_host(Segment& segment, unsigned mtu = 1500) {
    const auto n = static_cast<unsigned>(hosts_.size() + 1);
    Host& host = hosts_.emplace_back(n);
    switch_.attach(segment, host.tap);
    host.space.must("ip link set eth1 mtu " + std::to_string(mtu) + " up && ip addr add 10.0.0." +
                    std::to_string(n) + "/24 dev eth1");
    return host;
  }
  Segment& add_wire(bool lossless = false) {
    return switch_.add(std::make_unique<Wire>("wire", Wire::Options{.lossless = lossless}));
  }
  PortSnapshot counters(const Host& host) {
    for (const SegmentSnapshot& segment : switch_.snapshot()) {
      for (const PortSnapshot& port : segment.ports) {
        if (port.name == host.tap.name()) return port;
      }
    }
    throw std::runtime_error("no port " + host.tap.name());
  }
  std::chrono::nanoseconds cpu_time_of_worker() { return switch_.worker_stats()[0].cpu_time; }

  std::deque<Host> hosts_;
  Switch switch_;
};

TEST_F(TapTest, PingOverAWireLosesNothing) {
  Segment& wire = add_wire();
  Host& h1 = add_host(wire);
  Host& h2 = add_host(wire);
  EXPECT_THAT(h1.space.must("ping -f -q -c 10000 10.0.0.2"), HasSubstr("10000 received, 0% packet loss"));
  const PortSnapshot at1 = counters(h1);
  const PortSnapshot at2 = counters(h2);
  // Requests, ARP in both directions, and nothing that was not delivered.
  EXPECT_GE(at1.in.frames, 10'001u);
  EXPECT_EQ(at2.out.delivered, at1.in.frames);
  EXPECT_EQ(at1.out.delivered, at2.in.frames);
  EXPECT_EQ(at2.out.bytes, at1.in.bytes);
}

TEST_F(TapTest, CarriesJumboFrames) {
  Segment& wire = add_wire();
  Host& h1 = add_host(wire, 9500);
  add_host(wire, 9500);
  EXPECT_THAT(h1.space.must("ping -f -q -c 100 -s 9472 -M do 10.0.0.2"), HasSubstr("100 received"));
}

TEST_F(TapTest, BridgeLearnsAndKeepsUnicastToItsPort) {
  Segment& lan = switch_.add(std::make_unique<Bridge>("lan", Bridge::Options{}));
  Host& h1 = add_host(lan);
  add_host(lan);
  Host& h3 = add_host(lan);
  EXPECT_THAT(h1.space.must("ping -f -q -c 1000 10.0.0.2"), HasSubstr("1000 received, 0% packet loss"));
  EXPECT_LT(counters(h3).out.delivered, 20u) << "a third host sees the flooded ARP request and little else";
  EXPECT_THAT(h3.space.must("ping -q -c 1 10.0.0.1 && ping -q -c 1 10.0.0.2"), HasSubstr("1 received"));
}

TEST_F(TapTest, TcpOverALosslessWireDropsNothing) {
  Segment& wire = add_wire(/*lossless=*/true);
  Host& h1 = add_host(wire);
  Host& h2 = add_host(wire);
  h2.space.must("iperf3 -s -1 -D");
  std::this_thread::sleep_for(200ms);
  const NetworkNamespace::Result result = h1.space.run("iperf3 -c 10.0.0.2 -t 1 -P 2 -f m");
  EXPECT_EQ(result.status, 0) << result.output;
  const PortSnapshot at1 = counters(h1);
  const PortSnapshot at2 = counters(h2);
  EXPECT_GT(at1.in.bytes, 10'000'000u);
  for (const PortSnapshot* port : {&at1, &at2})
    EXPECT_EQ(std::accumulate(port->out.dropped.begin(), port->out.dropped.end(), std::uint64_t{0}), 0u);
}

TEST_F(TapTest, CountersBalanceInTheMiddleOfTraffic) {
  Segment& lan = switch_.add(std::make_unique<Bridge>("lan", Bridge::Options{}));
  Host& h1 = add_host(lan);
  add_host(lan);
  h1.space.must("(ping -f -q -c 100000 -w 1 10.0.0.2 > /dev/null &)");
  std::uint64_t frames = 0;
  for (int i = 0; i < 100; ++i) {
    for (const SegmentSnapshot& segment : switch_.snapshot())
      ASSERT_THAT(imbalances(segment), IsEmpty());
    std::this_thread::sleep_for(2ms);
    frames = counters(h1).in.frames;
  }
  EXPECT_GT(frames, 100u);
}

TEST_F(TapTest, IdleHostsCostNothing) {
  Segment& lan = switch_.add(std::make_unique<Bridge>("lan", Bridge::Options{}));
  for (int i = 0; i < 4; ++i)
    add_host(lan);
  hosts_[0].space.must("ping -q -c 2 10.0.0.2");
  std::this_thread::sleep_for(50ms);
  const auto before = cpu_time_of_worker();
  std::this_thread::sleep_for(1s);
  EXPECT_LT(cpu_time_of_worker() - before, 3ms);
}

TEST_F(TapTest, LinkDownTakesTheCarrierFromBothEndsOfAWire) {
  Segment& wire = add_wire();
  Host& h1 = add_host(wire);
  Host& h2 = add_host(wire);
  h1.space.must("ping -q -c 1 10.0.0.2");
  switch_.set_link("h1:eth1", false);
  for (const Host* host : {&h1, &h2})
    EXPECT_THAT(host->space.must("ip link show eth1"), HasSubstr("NO-CARRIER"));
  EXPECT_NE(h1.space.run("ping -q -c 1 -W 1 10.0.0.2").status, 0);
  switch_.set_link("h1:eth1", true);
  EXPECT_THAT(h2.space.must("ip link show eth1"), HasSubstr("LOWER_UP"));
  EXPECT_THAT(h1.space.must("ping -q -c 1 -w 5 10.0.0.2"), HasSubstr("1 received"));
}

TEST_F(TapTest, CountsWhatAnInterfaceThatIsDownDoesNotTake) {
  Segment& wire = add_wire();
  Host& h1 = add_host(wire);
  Host& h2 = add_host(wire);
  h2.space.must("ip link set eth1 down");
  EXPECT_NE(h1.space.run("ping -q -c 1 -W 1 10.0.0.2").status, 0);
  EXPECT_GE(counters(h2).out.dropped[static_cast<std::size_t>(DropReason::not_ready)], 1u);
}

TEST_F(TapTest, ADeletedInterfaceDisturbsNobody) {
  Segment& lan = switch_.add(std::make_unique<Bridge>("lan", Bridge::Options{}));
  Host& h1 = add_host(lan);
  add_host(lan);
  Host& h3 = add_host(lan);
  h3.space.must("ip link del eth1");
  EXPECT_THAT(h1.space.must("ping -f -q -c 500 10.0.0.2"), HasSubstr("500 received"));
  std::this_thread::sleep_for(50ms);
  const auto before = cpu_time_of_worker();
  std::this_thread::sleep_for(500ms);
  EXPECT_LT(cpu_time_of_worker() - before, 3ms) << "its descriptor reports an error for ever";
  switch_.detach("h3:eth1");
  EXPECT_FALSE(switch_.has_port("h3:eth1"));
  EXPECT_THROW(switch_.detach("h3:eth1"), std::out_of_range);
}

// The kernel has given the frames away, so the port keeps what its destination does not take.
TEST_F(TapTest, KeepsFramesForADestinationThatIsFull) {
  NetworkNamespace space;
  TapPort tap({"h1:eth1", "eth1", space.fd()});
  test::MemoryPort slow("slow");
  Wire wire("wire", {.lossless = true});
  const PortIndex at_tap = wire.attach(tap);
  wire.attach(slow);
  space.must(
      "ip link set eth1 up && ip addr add 10.0.0.1/24 dev eth1 && "
      "ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev eth1");
  space.run("for i in 1 2 3 4 5 6 7 8; do ping -q -c 1 -s $((i * 100)) -W 0.01 10.0.0.2; done");

  const auto space_of_worker = std::make_unique<Workspace>();
  slow.room = 0;
  EXPECT_EQ(wire.forward(at_tap, *space_of_worker), Segment::Outcome::stalled);
  for (int i = 0; i < 1000 && slow.received.size() < 8; ++i) {
    slow.room = static_cast<std::size_t>(i % 3);
    wire.forward(at_tap, *space_of_worker);
  }
  ASSERT_GE(slow.received.size(), 8u);
  for (std::size_t i = 0; i < 8; ++i) {
    // Ethernet, IPv4, ICMP headers, and ping's payload of bytes that count up.
    ASSERT_EQ(slow.received[i].bytes.size(), 14 + 20 + 8 + (i + 1) * 100) << i;
    EXPECT_EQ(slow.received[i].bytes.back(), static_cast<std::byte>((i + 1) * 100 - 1)) << i;
  }
  EXPECT_THAT(imbalances(wire.snapshot()), IsEmpty());
}

TEST_F(TapTest, SaysWhyAnInterfaceCannotBeCreated) {
  NetworkNamespace space;
  const auto error_of = [&](const std::string& name) -> std::string {
    try {
      TapPort tap({"h1:" + name, name, space.fd()});
    } catch (const std::system_error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(error_of("sixteen-letters-"), HasSubstr("is longer than 15 characters"));
  EXPECT_THAT(error_of("lo"), HasSubstr("cannot create TAP interface 'lo'"));
  TapPort first({"h1:eth1", "eth1", space.fd()});
  EXPECT_THAT(error_of("eth1"), HasSubstr("the name is taken"));
}

TEST_F(TapTest, TheInterfaceGoesWithThePort) {
  NetworkNamespace space;
  {
    TapPort tap({"h1:eth1", "eth1", space.fd()});
    space.must("ip link show eth1");
  }
  EXPECT_NE(space.run("ip link show eth1").status, 0);
}

}  // namespace
}  // namespace patchbay::vswitch
