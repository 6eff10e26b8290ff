// Two generators on a wire, driven by hand and by a worker.
#include "vswitch/traffic/traffic_port.h"

#include <gtest/gtest.h>

#include <thread>

#include "vswitch/balance.h"
#include "vswitch/wire.h"
#include "vswitch/worker.h"

namespace patchbay::vswitch::traffic {
namespace {

using std::chrono::milliseconds;

const StationConfig kConfigA{"a", {2, 0, 0, 0, 0, 1}, {10, 0, 0, 1}};
const StationConfig kConfigB{"b", {2, 0, 0, 0, 0, 2}, {10, 0, 0, 2}};

StreamShape a_to_b(std::vector<std::size_t> sizes, std::uint32_t flows = 1) {
  return {{kConfigA.mac, kConfigB.mac, kConfigA.address, kConfigB.address}, std::move(sizes), flows};
}

/// Takes at most `room` frames of each push, drops every `drop_every`th and delivers every `twice_every`th
/// again, like a network would.
class FaultyPort final : public Port {
 public:
  FaultyPort(std::string name, TrafficPort& sink) : Port(std::move(name)), sink_(sink) {}
  std::size_t room = SIZE_MAX;
  std::uint64_t drop_every = 0, twice_every = 0, dropped = 0, doubled = 0;

  void pull(Burst&) override {}
  void release(std::size_t) override {}
  std::size_t push(std::span<const FrameView* const> frames) override {
    frames = frames.first(std::min(room, frames.size()));
    for (std::size_t i = 0; i < frames.size(); ++i) {
      ++count_;
      if (drop_every != 0 && count_ % drop_every == 0) {
        ++dropped;
        continue;
      }
      (void)sink_.push(frames.subspan(i, 1));
      if (twice_every != 0 && count_ % twice_every == 0) {
        ++doubled;
        (void)sink_.push(frames.subspan(i, 1));
      }
    }
    counters.out.delivered.add(frames.size());
    return frames.size();
  }
  int wake_fd() const noexcept override { return -1; }
  bool arm() override { return false; }
  void disarm() override {}
  void set_link(bool) override {}

 private:
  TrafficPort& sink_;
  std::uint64_t count_ = 0;
};

class TrafficPortTest : public testing::Test {
 protected:
  static void expect_balance(const Segment& segment) {
    EXPECT_TRUE(imbalances(segment.snapshot()).empty()) << imbalances(segment.snapshot()).front();
  }
  /// Lets the wire carry what `a` sends until its trial is over.
  void carry(Segment& segment, const TrafficPort& sender) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (sender.sending() && std::chrono::steady_clock::now() < deadline)
      (void)segment.forward(0, *workspace_);
    EXPECT_FALSE(sender.sending());
  }

  TrafficPort a_{kConfigA}, b_{kConfigB};
  std::unique_ptr<Workspace> workspace_ = std::make_unique<Workspace>();
};

TEST_F(TrafficPortTest, EveryFrameOfAPacedTrialArrives) {
  Wire wire("w", {});
  wire.attach(a_);
  wire.attach(b_);
  a_.shape(a_to_b({64, 570, 64, 1518}, 3));
  b_.expect({.stream = 0, .trial = 1, .record_latency = true});
  a_.send({.stream = 0, .trial = 1, .rate = 100'000, .duration = milliseconds(20)});
  carry(wire, a_);
  const SendReport sent = a_.send_report();
  EXPECT_EQ(sent.intended, 2000u);
  EXPECT_EQ(sent.sent, 2000u);
  EXPECT_EQ(sent.bytes, 500u * (60 + 566 + 60 + 1514));
  EXPECT_GE(sent.duration, milliseconds(20));
  const ReceiveReport received = b_.receive_report();
  EXPECT_EQ(received.frames, 2000u);
  EXPECT_EQ(received.duplicates + received.reordered + received.too_late + received.stale + received.foreign,
            0u);
  EXPECT_EQ(b_.latency().count(), 2000u);
  EXPECT_EQ(b_.counters.out.bytes.value(), sent.bytes);
  expect_balance(wire);
}

TEST_F(TrafficPortTest, LossAndDuplicationAreCountedExactly) {
  Wire wire("w", {});
  FaultyPort network("n", b_);
  network.drop_every = 10;
  network.twice_every = 7;
  wire.attach(a_);
  wire.attach(network);
  a_.shape(a_to_b({64}));
  b_.expect({.stream = 0, .trial = 1});
  a_.send({.stream = 0, .trial = 1, .rate = 0, .duration = milliseconds(2)});
  carry(wire, a_);
  const SendReport sent = a_.send_report();
  const ReceiveReport received = b_.receive_report();
  ASSERT_GT(sent.sent, 100u);
  EXPECT_EQ(sent.intended, sent.sent) << "as many as possible were wanted";
  EXPECT_EQ(sent.sent - received.frames, network.dropped);
  EXPECT_EQ(received.duplicates, network.doubled);
  expect_balance(wire);
}

TEST_F(TrafficPortTest, FramesThatFindNoRoomAreSentLaterOnALosslessWire) {
  Wire wire("w", {.lossless = true});
  FaultyPort network("n", b_);
  network.room = 5;
  wire.attach(a_);
  wire.attach(network);
  a_.shape(a_to_b({64, 128, 256}, 7));
  b_.expect({.stream = 0, .trial = 1});
  a_.send({.stream = 0, .trial = 1, .rate = 0, .duration = milliseconds(2)});
  carry(wire, a_);
  EXPECT_EQ(a_.send_report().sent, b_.receive_report().frames);
  EXPECT_EQ(b_.receive_report().reordered, 0u);
  EXPECT_EQ(a_.send_report().bytes, a_.counters.in.bytes.value());
  expect_balance(wire);
}

TEST_F(TrafficPortTest, WhatCouldNotBeSentIsReported) {
  Wire wire("w", {.lossless = true});
  FaultyPort network("n", b_);
  network.room = 0;
  wire.attach(a_);
  wire.attach(network);
  a_.shape(a_to_b({64}));
  a_.send({.stream = 0, .trial = 1, .rate = 10'000, .duration = milliseconds(10)});
  carry(wire, a_);
  EXPECT_EQ(a_.send_report().intended, 100u);
  EXPECT_EQ(a_.send_report().sent, 0u);
  EXPECT_GE(a_.send_report().duration, milliseconds(10));
}

TEST_F(TrafficPortTest, FramesOfOtherTrialsAndStreamsAreNoneOfThisOne) {
  Wire wire("w", {});
  wire.attach(a_);
  wire.attach(b_);
  a_.shape(a_to_b({64}));
  b_.expect({.stream = 0, .trial = 2});
  a_.send({.stream = 0, .trial = 1, .rate = 1'000'000, .duration = milliseconds(1)});
  carry(wire, a_);
  EXPECT_EQ(b_.receive_report().stale, 1000u);
  b_.expect({.stream = 1, .trial = 1});
  a_.send({.stream = 0, .trial = 1, .rate = 1'000'000, .duration = milliseconds(1)});
  carry(wire, a_);
  EXPECT_EQ(b_.receive_report().foreign, 1000u);
  EXPECT_EQ(b_.receive_report().frames + b_.receive_report().stale, 0u);
}

TEST_F(TrafficPortTest, AsleepOnAWorkerItAnswersArpAndWakesForATrial) {
  Wire wire("w", {});
  Worker worker({});
  worker.run([&] {
    worker.add(wire, wire.attach(a_));
    worker.add(wire, wire.attach(b_));
  });
  std::this_thread::sleep_for(milliseconds(5));
  a_.resolve(kConfigB.address);
  std::optional<MacBytes> answer;
  for (int i = 0; i < 30'000 && !answer; ++i) {
    std::this_thread::sleep_for(milliseconds(1));
    answer = a_.resolved();
  }
  EXPECT_EQ(answer, kConfigB.mac);

  worker.run([&] {
    a_.shape(a_to_b({64}));
    b_.expect({.stream = 0, .trial = 1});
    // Without a rate: frames move in every pass, so the trial also ends where the worker hardly gets a core.
    a_.send({.stream = 0, .trial = 1, .rate = 0, .duration = milliseconds(2)});
  });
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (a_.sending() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(milliseconds(1));
  worker.run([&] {
    EXPECT_FALSE(a_.sending());
    EXPECT_GT(a_.send_report().sent, 0u);
    EXPECT_EQ(b_.receive_report().frames, a_.send_report().sent);
    expect_balance(wire);
  });
  worker.stop();
}

}  // namespace
}  // namespace patchbay::vswitch::traffic
