#include "vswitch/impairment/impaired_port.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <bit>
#include <thread>

#include "tests/unit/vswitch/impairment/fake_time.h"
#include "tests/unit/vswitch/memory_port.h"
#include "tests/unit/vswitch/offload/packets.h"
#include "vswitch/balance.h"
#include "vswitch/wire.h"

namespace patchbay::vswitch {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using test::Bytes;
using test::ethernet_frame;
using test::FakeTime;
using test::kHost1;
using test::kHost2;
using test::MemoryPort;
using testing::IsEmpty;
using Outcome = Segment::Outcome;

class ImpairedPortTest : public testing::Test {
 protected:
  explicit ImpairedPortTest(bool lossless = false) : wire_("h1--h2", {.lossless = lossless}) {}

  void TearDown() override { EXPECT_THAT(imbalances(wire_.snapshot()), IsEmpty()); }

  /// What h1 sends is impaired from here on.
  void impair(const Impairment& impairment, std::size_t bytes = std::size_t{1} << 22,
              std::size_t frames = 4096) {
    impaired_ = std::make_unique<ImpairedPort>(
        a_, impairment, ImpairedPort::Options{.seed = 7, .bytes = bytes, .frames = frames, .time = &time_});
    (void)wire_.replace(at_a_, *impaired_);
  }
  Outcome forward() { return wire_.forward(at_a_, *space_); }
  std::size_t forward_all() {
    while (forward() == Outcome::progressed) {
    }
    return b_.received.size();
  }
  void advance(nanoseconds by) { time_.value += by; }

  std::unique_ptr<Workspace> space_ = std::make_unique<Workspace>();
  FakeTime time_;
  MemoryPort a_{"h1:eth1"}, b_{"h2:eth1"};
  std::unique_ptr<ImpairedPort> impaired_;
  Wire wire_;
  PortIndex at_a_ = wire_.attach(a_), at_b_ = wire_.attach(b_);
};

class LosslessImpairedPortTest : public ImpairedPortTest {
 protected:
  LosslessImpairedPortTest() : ImpairedPortTest(true) {}
};

TEST_F(ImpairedPortTest, DelaysToTheNanosecondAndReturnsBuffersAtOnce) {
  impair({.delay = milliseconds(10)});
  for (const std::size_t size : {14u, 60u, 128u, 129u, 1514u, 6000u})
    a_.send(ethernet_frame(kHost2, kHost1, size, static_cast<unsigned>(size)));
  const auto sent = a_.to_send;
  EXPECT_EQ(forward(), Outcome::idle);
  EXPECT_TRUE(a_.to_send.empty()) << "the sender has its buffers back";
  EXPECT_EQ(impaired_->held(), 6u);
  EXPECT_EQ(a_.counters.in.frames.value(), 0u) << "what is held is not counted yet";
  advance(milliseconds(10) - nanoseconds(1));
  EXPECT_EQ(forward(), Outcome::idle);
  advance(nanoseconds(1));
  EXPECT_EQ(forward(), Outcome::progressed);
  ASSERT_EQ(b_.received.size(), sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i)
    EXPECT_EQ(b_.received[i].bytes, sent[i].bytes) << i;
  EXPECT_EQ(impaired_->held(), 0u);
}

TEST_F(ImpairedPortTest, CountsWhereThePortBehindCounts) {
  impair({.delay = milliseconds(1)});
  a_.send(ethernet_frame(kHost2, kHost1));
  b_.send(ethernet_frame(kHost1, kHost2));
  (void)forward();
  advance(milliseconds(1));
  (void)forward();
  wire_.forward(at_b_, *space_);
  EXPECT_EQ(a_.counters.in.frames.value(), 1u);
  EXPECT_EQ(a_.counters.in.forwarded.value(), 1u);
  EXPECT_EQ(a_.counters.out.delivered.value(), 1u);
  EXPECT_EQ(&impaired_->counters, &a_.counters);
  EXPECT_EQ(impaired_->name(), "h1:eth1");
}

TEST_F(ImpairedPortTest, TheOtherDirectionIsUntouched) {
  impair({.delay = milliseconds(10), .loss = 1});
  a_.offloads.checksum = true;
  b_.send(ethernet_frame(kHost1, kHost2));
  EXPECT_EQ(wire_.forward(at_b_, *space_), Outcome::progressed);
  EXPECT_EQ(a_.received.size(), 1u);
  EXPECT_TRUE(impaired_->accepts().checksum);
  impaired_->set_link(false);
  EXPECT_FALSE(a_.link);
}

TEST_F(ImpairedPortTest, CountsWhatItLoses) {
  impair({.loss = 0.1});
  for (unsigned i = 0; i < 20'000; ++i) {
    a_.send(ethernet_frame(kHost2, kHost1, 64, i));
    if (i % 50 == 0) forward_all();
  }
  const std::size_t arrived = forward_all();
  EXPECT_NEAR(static_cast<double>(arrived), 18'000, 200);
  EXPECT_EQ(a_.dropped_in(DropReason::impairment_loss), 20'000 - arrived);
  EXPECT_EQ(a_.counters.in.frames.value(), 20'000u);
  EXPECT_EQ(a_.counters.in.bytes.value(), 20'000u * 64);
}

TEST_F(ImpairedPortTest, DuplicatesEveryFrameOnce) {
  impair({.duplicate = 1});
  for (unsigned i = 0; i < 100; ++i)
    a_.send(ethernet_frame(kHost2, kHost1, 64, i));
  ASSERT_EQ(forward_all(), 200u);
  for (unsigned i = 0; i < 200; ++i)
    EXPECT_EQ(b_.received[i].bytes, ethernet_frame(kHost2, kHost1, 64, i / 2));
  EXPECT_EQ(a_.counters.in.frames.value(), 200u);
}

TEST_F(ImpairedPortTest, FlipsOneBitOfACorruptFrame) {
  impair({.corrupt = 1});
  const Bytes frame = ethernet_frame(kHost2, kHost1, 300);
  for (int i = 0; i < 60; ++i)
    a_.send(frame, {.flags = Offload::kDataValid});
  ASSERT_EQ(forward_all(), 60u);
  for (const auto& received : b_.received) {
    ASSERT_EQ(received.bytes.size(), frame.size());
    int flipped = 0;
    for (std::size_t i = 0; i < frame.size(); ++i)
      flipped += std::popcount(std::to_integer<unsigned char>(received.bytes[i] ^ frame[i]));
    EXPECT_EQ(flipped, 1);
    EXPECT_EQ(received.offload.flags, 0) << "nobody may claim that its checksum is right";
  }
}

TEST_F(ImpairedPortTest, ARateSpacesFramesExactly) {
  impair({.rate_bits = 10'000'000});
  for (unsigned i = 0; i < 50; ++i)
    a_.send(ethernet_frame(kHost2, kHost1, 1250, i));
  (void)forward();
  for (std::size_t i = 0; i < 50; ++i) {
    advance(milliseconds(1) - nanoseconds(1));
    (void)forward();
    EXPECT_EQ(b_.received.size(), i) << "not before its time";
    advance(nanoseconds(1));
    (void)forward();
    EXPECT_EQ(b_.received.size(), i + 1);
  }
}

TEST_F(ImpairedPortTest, JitterLetsFramesOvertakeAndLosesNone) {
  impair({.delay = milliseconds(10), .jitter = milliseconds(5)});
  for (unsigned i = 0; i < 200; ++i) {
    a_.send(ethernet_frame(kHost2, kHost1, 64 + i));
    (void)forward();
    advance(microseconds(100));
  }
  advance(milliseconds(15));
  ASSERT_EQ(forward_all(), 200u);
  unsigned overtaken = 0;
  for (std::size_t i = 1; i < 200; ++i)
    overtaken += b_.received[i].bytes.size() < b_.received[i - 1].bytes.size() ? 1U : 0U;
  EXPECT_GT(overtaken, 50u);
}

TEST_F(ImpairedPortTest, ReorderedFramesArriveFirst) {
  impair({.delay = milliseconds(10), .reorder = 0.5});
  for (unsigned i = 0; i < 64; ++i)
    a_.send(ethernet_frame(kHost2, kHost1, 64, i));
  (void)forward();
  const std::size_t at_once = b_.received.size();
  EXPECT_GT(at_once, 16u);
  EXPECT_LT(at_once, 48u);
  advance(milliseconds(10));
  EXPECT_EQ(forward_all(), 64u);
}

TEST_F(ImpairedPortTest, DropsWhatItsQueueCannotTake) {
  impair({.rate_bits = 1'000'000, .queue_bytes = 10'000});
  for (unsigned i = 0; i < 50; ++i)
    a_.send(ethernet_frame(kHost2, kHost1, 1000, i));
  (void)forward();
  EXPECT_EQ(a_.dropped_in(DropReason::impairment_queue), 39u) << "one on the wire, ten in the queue";
  advance(seconds(1));
  EXPECT_EQ(forward_all(), 11u);
  EXPECT_EQ(a_.counters.in.frames.value(), 50u);
}

TEST_F(ImpairedPortTest, DropsWhatItsMemoryCannotTake) {
  impair({.delay = milliseconds(1)}, 2 * kMaxFrameBytes, 40);
  for (unsigned i = 0; i < 50; ++i)
    a_.send(ethernet_frame(kHost2, kHost1, 64, i));
  (void)forward();
  EXPECT_EQ(a_.dropped_in(DropReason::impairment_queue), 10u);
  advance(milliseconds(1));
  EXPECT_EQ(forward_all(), 40u);
}

TEST_F(ImpairedPortTest, CutsLargeFramesAndCompletesChecksums) {
  impair({.delay = milliseconds(1)});
  b_.offloads = {.checksum = true, .tso4 = true};
  const auto large = test::make_packet({.payload = 20'000, .gso_size = 1448});
  const auto small = test::make_packet({.payload = 100, .gso_size = 0});
  a_.piece_bytes = 1500;
  a_.send(large.bytes, large.offload);
  a_.send(small.bytes, small.offload);
  (void)forward();
  EXPECT_EQ(impaired_->held(), 15u);
  advance(milliseconds(1));
  ASSERT_EQ(forward_all(), 15u);
  for (const auto& frame : b_.received) {
    EXPECT_EQ(test::faults(frame.bytes, large, false, false), "");
    EXPECT_EQ(frame.offload.gso_type, Offload::kGsoNone);
  }
  EXPECT_EQ(a_.counters.in.frames.value(), 15u);
}

TEST_F(ImpairedPortTest, LargeFramesWaitAtTheirSenderWhileSegmentsLeave) {
  impair({.loss = 1e-12}, std::size_t{1} << 22, 16384);
  const auto large = test::make_packet({.payload = 60'000, .gso_size = 100});
  a_.piece_bytes = 1500;
  for (int i = 0; i < 50; ++i)
    a_.send(large.bytes, large.offload);
  EXPECT_EQ(forward_all(), 30'000u);
  EXPECT_EQ(a_.dropped_in(DropReason::impairment_queue), 0u);
}

TEST_F(ImpairedPortTest, RefusesContradictoryOffloads) {
  impair({.delay = milliseconds(1)});
  a_.send(ethernet_frame(kHost2, kHost1), {.flags = Offload::kNeedsChecksum, .checksum_start = 60000});
  (void)forward();
  EXPECT_EQ(a_.dropped_in(DropReason::bad_offload), 1u);
}

/// A card with three transmit queues.
class QueuedPort final : public Port {
 public:
  using Port::Port;
  [[nodiscard]] std::size_t source_count() const noexcept override { return 3; }
  [[nodiscard]] Source& source(std::size_t number) noexcept override {
    return number == 0 ? static_cast<Source&>(*this) : queues[number];
  }
  void pull(Burst& burst) override { queues[0].pull(burst); }
  void release(std::size_t consumed) override { queues[0].release(consumed); }
  [[nodiscard]] int wake_fd() const noexcept override { return -1; }
  bool arm() override { return queues[0].arm(); }
  void disarm() override { queues[0].disarm(); }
  std::size_t push(std::span<const FrameView* const> frames) override { return frames.size(); }
  void set_link(bool) override {}

  MemoryPort queues[3]{MemoryPort{"q0"}, MemoryPort{"q1"}, MemoryPort{"q2"}};
};

TEST_F(ImpairedPortTest, AllQueuesOfACardGoThroughTheSameImpairment) {
  QueuedPort card("h1:eth1");
  ImpairedPort impaired(card, {.delay = milliseconds(10)},
                        {.seed = 7, .bytes = 1 << 22, .frames = 64, .time = &time_});
  (void)wire_.replace(at_a_, impaired);
  EXPECT_EQ(impaired.source_count(), 1U);
  for (MemoryPort& queue : card.queues) {
    for (int i = 0; i < 2; ++i)
      queue.send(ethernet_frame(kHost2, kHost1));
  }
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(forward(), Outcome::idle);
  EXPECT_EQ(impaired.held(), 6U);
  advance(milliseconds(10));
  EXPECT_EQ(forward_all(), 6U);
  EXPECT_FALSE(impaired.arm());
  for (const MemoryPort& queue : card.queues)
    EXPECT_EQ(queue.arms, 1U);
  impaired.disarm();
  // Without impairment too.
  impaired.configure({});
  card.queues[2].send(ethernet_frame(kHost2, kHost1));
  EXPECT_EQ(forward_all(), 7U);
  EXPECT_TRUE(card.queues[2].to_send.empty());
  // What a queue drops itself shows too.
  card.queues[2].counters.in.frames.add();
  card.queues[2].counters.in.drop(DropReason::bad_offload);
  EXPECT_EQ(wire_.snapshot().ports[at_a_].in.frames, 8U);
  (void)wire_.replace(at_a_, a_);
}

TEST_F(ImpairedPortTest, ALinkThatIsDownDropsWhatComesOut) {
  impair({.delay = milliseconds(1)});
  a_.send(ethernet_frame(kHost2, kHost1));
  (void)forward();
  wire_.set_link(at_a_, false);
  advance(milliseconds(1));
  (void)forward();
  EXPECT_EQ(a_.dropped_in(DropReason::link_down), 1u);
  EXPECT_EQ(impaired_->held(), 0u);
}

TEST_F(ImpairedPortTest, NewSettingsKeepWhatIsHeld) {
  impair({.delay = milliseconds(10)});
  a_.send(ethernet_frame(kHost2, kHost1, 64, 1));
  (void)forward();
  impaired_->configure({.delay = milliseconds(2)});
  a_.send(ethernet_frame(kHost2, kHost1, 64, 2));
  (void)forward();
  advance(milliseconds(2));
  (void)forward();
  ASSERT_EQ(b_.received.size(), 1u);
  EXPECT_EQ(b_.received[0].bytes, ethernet_frame(kHost2, kHost1, 64, 2));
  advance(milliseconds(8));
  EXPECT_EQ(forward_all(), 2u);
}

TEST_F(ImpairedPortTest, WithoutImpairmentAllThatIsHeldLeavesAndOffloadsPass) {
  impair({.delay = seconds(10)});
  for (unsigned i = 0; i < 100; ++i)
    a_.send(ethernet_frame(kHost2, kHost1, 64, i));
  (void)forward();
  (void)forward();
  EXPECT_EQ(impaired_->held(), 100u);
  impaired_->configure({});
  a_.send(ethernet_frame(kHost2, kHost1, 64, 100));
  ASSERT_EQ(forward_all(), 101u);
  for (unsigned i = 0; i < 101; ++i)
    EXPECT_EQ(b_.received[i].bytes, ethernet_frame(kHost2, kHost1, 64, i)) << i;
  b_.offloads = {.checksum = true, .tso4 = true};
  const auto large = test::make_packet({.payload = 20'000, .gso_size = 1448});
  a_.piece_bytes = 1500;
  a_.send(large.bytes, large.offload);
  ASSERT_EQ(forward_all(), 102u);
  EXPECT_EQ(b_.received.back().bytes, large.bytes) << "whole, as if nothing stood in between";
}

TEST_F(LosslessImpairedPortTest, FramesWithoutRoomComeAgainAndTheSenderWaits) {
  impair({.delay = milliseconds(1)});
  for (unsigned i = 0; i < 10; ++i)
    a_.send(ethernet_frame(kHost2, kHost1, 64, i));
  (void)forward();
  advance(milliseconds(1));
  b_.room = 3;
  EXPECT_EQ(forward(), Outcome::progressed);
  EXPECT_EQ(forward(), Outcome::stalled);
  a_.send(ethernet_frame(kHost2, kHost1, 64, 10));
  EXPECT_EQ(forward(), Outcome::stalled);
  EXPECT_EQ(a_.to_send.size(), 1u) << "nothing more is taken from the sender";
  EXPECT_TRUE(impaired_->arm()) << "frames wait";
  b_.room = SIZE_MAX;
  EXPECT_EQ(forward(), Outcome::progressed);
  (void)forward();
  advance(milliseconds(1));
  ASSERT_EQ(forward_all(), 11u);
  for (unsigned i = 0; i < 11; ++i)
    EXPECT_EQ(b_.received[i].bytes, ethernet_frame(kHost2, kHost1, 64, i)) << i;
}

// Wake-ups are in the kernel's time.
class ImpairedPortWakeTest : public testing::Test {
 protected:
  static bool readable(const Port& port, int timeout_ms) {
    pollfd wait{port.wake_fd(), POLLIN, 0};
    return ::poll(&wait, 1, timeout_ms) == 1;
  }
  std::unique_ptr<Burst> burst_ = std::make_unique<Burst>();
  FileDescriptor event_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  MemoryPort inner_{"h1:eth1"};
};

TEST_F(ImpairedPortWakeTest, APortThatMustBePolledStaysOne) {
  ImpairedPort port(inner_, {.delay = milliseconds(1)}, {});
  EXPECT_LT(port.wake_fd(), 0);
}

TEST_F(ImpairedPortWakeTest, WakesForThePortBehind) {
  inner_.wake_descriptor = event_.get();
  ImpairedPort port(inner_, {.delay = milliseconds(1)}, {});
  EXPECT_FALSE(port.arm());
  EXPECT_EQ(inner_.arms, 1u);
  EXPECT_FALSE(readable(port, 0));
  ::eventfd_write(event_.get(), 1);
  EXPECT_TRUE(readable(port, 0));
  eventfd_t value;
  ::eventfd_read(event_.get(), &value);
  port.disarm();
  EXPECT_EQ(inner_.disarms, 1u);
  EXPECT_FALSE(readable(port, 0));
  inner_.frames_at_arm = true;
  EXPECT_TRUE(port.arm());
}

TEST_F(ImpairedPortWakeTest, WakesJustBeforeAFrameIsDue) {
  inner_.wake_descriptor = event_.get();
  ImpairedPort port(inner_, {.delay = milliseconds(30)}, {});
  inner_.send(ethernet_frame(kHost2, kHost1));
  const auto start = std::chrono::steady_clock::now();
  port.pull(*burst_);
  ASSERT_TRUE(burst_->empty());
  EXPECT_FALSE(port.arm());
  EXPECT_TRUE(readable(port, 10'000));
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(30) - microseconds(100));
  port.disarm();
  EXPECT_FALSE(readable(port, 0)) << "the timer is off";
  EXPECT_TRUE(port.arm()) << "a frame is as good as due";
  port.disarm();
  while (burst_->empty())
    port.pull(*burst_);
  ASSERT_EQ(burst_->size(), 1u);
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(30));
  port.release(1);
  EXPECT_FALSE(port.arm());
  EXPECT_FALSE(readable(port, 0));
}

TEST_F(ImpairedPortWakeTest, WakesForWhatAResetLetsGo) {
  inner_.wake_descriptor = event_.get();
  ImpairedPort port(inner_, {.delay = seconds(3600)}, {});
  inner_.send(ethernet_frame(kHost2, kHost1));
  port.pull(*burst_);
  EXPECT_FALSE(port.arm());
  port.configure({});
  EXPECT_TRUE(readable(port, 1000));
}

TEST_F(ImpairedPortWakeTest, ABrokenPortBehindDoesNotWakeAllTheTime) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const FileDescriptor reader(pipe[0]);
  inner_.wake_descriptor = pipe[0];
  FakeTime time;
  time.value = std::chrono::steady_clock::now().time_since_epoch();
  ImpairedPort port(inner_, {.delay = milliseconds(1)}, {.time = &time});
  EXPECT_FALSE(port.arm());
  ::close(pipe[1]);  // EPOLLHUP, and nothing to read
  EXPECT_TRUE(readable(port, 0));
  port.disarm();
  EXPECT_FALSE(port.arm());
  EXPECT_FALSE(readable(port, 0)) << "it rests for a second";
  port.disarm();
  time.value += seconds(2);
  EXPECT_FALSE(port.arm());
  EXPECT_TRUE(readable(port, 0)) << "it is looked at again";
}

}  // namespace
}  // namespace patchbay::vswitch
