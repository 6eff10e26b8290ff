// Several workers on one bridge: who gets which source, and that nothing is lost or counted twice while ports
// come and go under traffic.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/vswitch/memory_port.h"
#include "vswitch/balance.h"
#include "vswitch/bridge.h"
#include "vswitch/switch.h"
#include "vswitch/tap_point.h"
#include "vswitch/wire.h"

namespace patchbay::vswitch {
namespace {

/// Sends without end to all stations in turn, and now and then to everybody; what it receives it counts.
class Station final : public Port {
 public:
  Station(std::uint8_t number, std::uint8_t stations)
      : Port("s" + std::to_string(number)), number_(number), stations_(stations) {}

  void pull(Burst& burst) override {
    for (int i = 0; i < 8; ++i) {
      FrameView& frame = burst.next();
      frame.length = 60;
      frame.offload = {};
      frame.header.fill(std::byte{0});
      const auto to = static_cast<std::uint8_t>(turn_++ % (stations_ + 1U));
      frame.header[0] = to == stations_ ? std::byte{0xff} : std::byte{2};
      frame.header[5] = std::byte{to};
      frame.header[6] = std::byte{2};
      frame.header[11] = std::byte{number_};
      burst.commit(0);
    }
  }
  void release(std::size_t) override {}
  std::size_t push(std::span<const FrameView* const> frames) override {
    for (const FrameView* frame : frames) {
      const bool meant = frame->header[5] == std::byte{number_} || frame->header[0] == std::byte{0xff};
      if (!meant) ++strangers;
    }
    counters.out.delivered.add(frames.size());
    return frames.size();
  }
  [[nodiscard]] int wake_fd() const noexcept override { return -1; }
  bool arm() override { return true; }
  void disarm() override {}
  void set_link(bool) override {}

  std::atomic<std::uint64_t> strangers{0};  // frames for others: their address was not known yet

 private:
  std::uint8_t number_;
  std::uint8_t stations_;
  unsigned turn_ = 0;
};

/// Looks at frames that come on several threads.
class CountingTap final : public TapPoint {
 public:
  void frames(Direction, std::span<const FrameView* const> frames) noexcept override {
    seen += frames.size();
  }
  std::atomic<std::uint64_t> seen{0};
};

/// A port with several sources, none of which ever has a frame.
class ManySources final : public Port {
 public:
  ManySources(std::string name, std::size_t extra) : Port(std::move(name)) {
    for (std::size_t i = 0; i < extra; ++i)
      more_.push_back(std::make_unique<test::MemoryPort>(this->name() + std::to_string(i)));
  }
  [[nodiscard]] std::size_t source_count() const noexcept override { return 1 + more_.size(); }
  [[nodiscard]] Source& source(std::size_t number) noexcept override {
    return number == 0 ? static_cast<Source&>(*this) : *more_[number - 1];
  }
  void pull(Burst&) override {}
  void release(std::size_t) override {}
  std::size_t push(std::span<const FrameView* const> frames) override { return frames.size(); }
  [[nodiscard]] int wake_fd() const noexcept override { return -1; }
  bool arm() override { return false; }
  void disarm() override {}
  void set_link(bool) override {}

 private:
  std::vector<std::unique_ptr<test::MemoryPort>> more_;
};

TEST(SwitchTest, PortsOfABridgeAreSpreadAndThoseOfAWireStayTogether) {
  ManySources a("a", 0), b("b", 0), c("c", 0), d("d", 0), e("e", 0), f("f", 0), g("g", 3);
  Switch all(2);
  Segment& lan = all.add(std::make_unique<Bridge>("lan", Bridge::Options{}));
  all.attach(lan, a);
  all.attach(lan, b);
  EXPECT_NE(all.worker_of("a"), all.worker_of("b"));
  Segment& cable = all.add(std::make_unique<Wire>("cable", Wire::Options{}));
  all.attach(cable, c);
  all.attach(cable, d);
  EXPECT_EQ(all.worker_of("c"), all.worker_of("d"));
  all.attach(lan, e);
  all.attach(lan, f);
  EXPECT_NE(all.worker_of("e"), all.worker_of("c")) << "the wire's worker has enough to do";
  all.attach(lan, g);
  std::array<std::size_t, 2> sources{};
  for (unsigned worker = 0; worker < 2; ++worker)
    all.worker(worker).run([&] { sources[worker] = all.worker(worker).source_count(); });
  EXPECT_EQ(sources[0] + sources[1], 10U);
  EXPECT_EQ(sources[0], sources[1]) << "further queues of a port go where there is least to do";
  all.detach("g");
  for (unsigned worker = 0; worker < 2; ++worker)
    all.worker(worker).run([&] { sources[worker] = all.worker(worker).source_count(); });
  EXPECT_EQ(sources[0] + sources[1], 6U);
}

TEST(SwitchTest, ManyWorkersAreRefusedByName) {
  EXPECT_THROW(Switch(kMaxWorkers + 1), std::invalid_argument);
}

TEST(SwitchTest, WorkersShareABridgeWhilePortsComeAndGo) {
  constexpr std::uint8_t kStations = 6;
  std::vector<std::unique_ptr<Station>> stations;
  CountingTap tap;
  Switch all(3);
  Segment& lan = all.add(std::make_unique<Bridge>("lan", Bridge::Options{}));
  for (std::uint8_t i = 0; i < kStations; ++i) {
    stations.push_back(std::make_unique<Station>(i, kStations));
    all.attach(lan, *stations.back());
  }
  for (int round = 0; round < 60; ++round) {
    const std::string name = "s" + std::to_string(round % kStations);
    switch (round % 4) {
      case 0:
        all.set_tap(name, &tap);
        break;
      case 1:
        all.set_link(name, false);
        break;
      case 2:
        all.detach(name);
        all.attach(lan, *stations[static_cast<std::size_t>(round % kStations)]);
        break;
      default:
        all.set_link("s" + std::to_string((round - 2) % kStations), true);
        break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const auto segments = all.snapshot();
    ASSERT_EQ(segments.size(), 1U);
    EXPECT_EQ(imbalances(segments[0]), std::vector<std::string>{}) << "round " << round;
  }
  all.stop();
  const SegmentSnapshot end = all.snapshot()[0];
  EXPECT_EQ(imbalances(end), std::vector<std::string>{});
  EXPECT_GT(tap.seen, 0U);
  for (const PortSnapshot& port : end.ports) {
    EXPECT_GT(port.in.frames, 0U) << port.name;
    EXPECT_GT(port.out.delivered, 0U) << port.name;
  }
}

}  // namespace
}  // namespace patchbay::vswitch
