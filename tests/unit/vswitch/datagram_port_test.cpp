#include "vswitch/datagram_port.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <memory>

#include "tests/unit/vswitch/memory_port.h"

namespace patchbay::vswitch {
namespace {

using test::Bytes;
using test::bytes_of;
using test::ethernet_frame;
using Frames = std::vector<Bytes>;

constexpr std::uint64_t kHere = 0x0200'0000'0001;
constexpr std::uint64_t kThere = 0x0200'0000'0002;

/// The socket's other end.
struct Peer {
  FileDescriptor socket;

  bool send(const Bytes& frame) const {
    return ::send(socket.get(), frame.data(), frame.size(), MSG_DONTWAIT) == static_cast<ssize_t>(frame.size());
  }
  /// Empty if nothing waits.
  [[nodiscard]] Bytes receive() const {
    Bytes frame(70'000);
    const ssize_t length = ::recv(socket.get(), frame.data(), frame.size(), MSG_DONTWAIT);
    frame.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
    return frame;
  }
};

struct DatagramPortTest : testing::Test {
  DatagramPort port{"v1:eth1"};
  Peer peer{port.connect()};
  std::unique_ptr<Burst> burst = std::make_unique<Burst>();

  Frames pull() {
    burst->clear();
    port.pull(*burst);
    Frames frames;
    for (const FrameView& frame : burst->frames())
      frames.push_back(bytes_of(frame));
    return frames;
  }
  Frames pull_and_release() {
    Frames frames = pull();
    if (!frames.empty()) port.release(frames.size());
    return frames;
  }
  /// Frames of a source whose tails lie in several pieces.
  std::size_t push(const Frames& frames) {
    test::MemoryPort source("source");
    for (const Bytes& frame : frames)
      source.send(frame);
    const auto views = std::make_unique<Burst>();
    source.pull(*views);
    std::vector<const FrameView*> pointers;
    for (const FrameView& view : views->frames())
      pointers.push_back(&view);
    return port.push(pointers);
  }
  [[nodiscard]] bool readable() const {
    pollfd wait{port.wake_fd(), POLLIN, 0};
    return ::poll(&wait, 1, 0) == 1;
  }
  [[nodiscard]] std::uint64_t dropped_in(DropReason reason) const {
    return port.counters.in.dropped[static_cast<std::size_t>(reason)].value();
  }
  [[nodiscard]] std::uint64_t dropped_out(DropReason reason) const {
    return port.counters.out.dropped[static_cast<std::size_t>(reason)].value();
  }
};

TEST_F(DatagramPortTest, CarriesFramesOfAllSizesBothWays) {
  for (const std::size_t size : {14u, 60u, 128u, 129u, 1514u, 9514u, 65562u}) {
    const Bytes frame = ethernet_frame(kHere, kThere, size);
    ASSERT_TRUE(peer.send(frame)) << size;
    EXPECT_EQ(pull_and_release(), Frames{frame}) << size;
    if (size > 1 + kHeaderBytes + 100 * kMaxPieces) continue;  // more pieces than a frame may have
    EXPECT_EQ(push({frame}), 1u) << size;
    EXPECT_EQ(peer.receive(), frame) << size;
  }
  EXPECT_EQ(port.counters.out.delivered.value(), 5u);
  EXPECT_EQ(port.counters.out.bytes.value(), 14u + 60 + 128 + 129 + 1514);
}

TEST_F(DatagramPortTest, MovesWholeBursts) {
  Frames frames;
  for (unsigned i = 0; i < 100; ++i)
    frames.push_back(ethernet_frame(kHere, kThere, 60 + i, i));
  for (const Bytes& frame : frames)
    ASSERT_TRUE(peer.send(frame));
  Frames pulled = pull_and_release();
  EXPECT_EQ(pulled.size(), kBurstFrames);
  for (Bytes& frame : pull_and_release())
    pulled.push_back(std::move(frame));
  EXPECT_EQ(pulled, frames);

  frames.resize(kBurstFrames);
  EXPECT_EQ(push(frames), kBurstFrames);
  for (const Bytes& frame : frames)
    EXPECT_EQ(peer.receive(), frame);
}

TEST_F(DatagramPortTest, WhatWasNotConsumedComesFirstAgain) {
  Frames frames;
  for (unsigned i = 0; i < 5; ++i)
    frames.push_back(ethernet_frame(kHere, kThere, 200, i));
  for (unsigned i = 0; i < 3; ++i)
    ASSERT_TRUE(peer.send(frames[i]));
  EXPECT_EQ(pull().size(), 3u);
  port.release(1);
  EXPECT_TRUE(port.arm()) << "frames wait, whatever the socket says";
  ASSERT_TRUE(peer.send(frames[3]) && peer.send(frames[4]));
  EXPECT_EQ(pull_and_release(), Frames(frames.begin() + 1, frames.end()));
  EXPECT_FALSE(port.arm());
}

TEST_F(DatagramPortTest, DropsDatagramsThatAreNoFramesAndKeepsTheirNeighbours) {
  const Bytes good = ethernet_frame(kHere, kThere, 300);
  const Bytes other = ethernet_frame(kHere, kThere, 300, 1);
  ASSERT_TRUE(peer.send(good) && peer.send({}) && peer.send(Bytes(kMaxFrameBytes + 1)) && peer.send(other));
  EXPECT_EQ(pull_and_release(), (Frames{good, other}));
  EXPECT_EQ(dropped_in(DropReason::too_short), 1u);
  EXPECT_EQ(dropped_in(DropReason::too_long), 1u);
  EXPECT_EQ(port.counters.in.frames.value(), 2u) << "the segment counts the good ones";
}

TEST_F(DatagramPortTest, APeerThatDoesNotReadStopsThePushUntilItDoes) {
  const Frames frames(kBurstFrames, ethernet_frame(kHere, kThere, 1514));
  std::size_t pushed = 0;
  std::size_t last = kBurstFrames;
  while (last == kBurstFrames && pushed < 100'000)
    pushed += last = push(frames);
  EXPECT_LT(last, kBurstFrames);
  EXPECT_EQ(port.counters.out.delivered.value(), pushed);
  std::size_t received = 0;
  while (!peer.receive().empty())
    ++received;
  EXPECT_EQ(received, pushed);
  EXPECT_EQ(push(frames), kBurstFrames);
}

TEST_F(DatagramPortTest, WakesWhenFramesArriveAndSleepsWhenTheyAreTaken) {
  EXPECT_FALSE(readable());
  ASSERT_TRUE(peer.send(ethernet_frame(kHere, kThere)));
  EXPECT_TRUE(readable());
  EXPECT_EQ(pull_and_release().size(), 1u);
  EXPECT_FALSE(readable());
}

TEST_F(DatagramPortTest, APeerThatDiesIsNoError) {
  const Bytes frame = ethernet_frame(kHere, kThere);
  EXPECT_EQ(push({frame, frame}), 2u);
  ASSERT_TRUE(peer.send(frame));
  peer.socket.reset();  // with two frames unread
  (void)pull_and_release();
  EXPECT_EQ(push({frame, frame, frame}), 3u);
  EXPECT_EQ(push({frame}), 1u);
  EXPECT_EQ(dropped_out(DropReason::not_ready), 4u);
  EXPECT_TRUE(pull().empty());
  EXPECT_FALSE(readable()) << "a worker would never sleep";
}

TEST_F(DatagramPortTest, APeerCanBeReplacedAndItsWakeUpsWork) {
  const Bytes frame = ethernet_frame(kHere, kThere);
  const int wake = port.wake_fd();
  Peer next{port.connect()};
  EXPECT_FALSE(peer.send(frame)) << "the former peer is cut off";
  ASSERT_TRUE(next.send(frame));
  EXPECT_EQ(port.wake_fd(), wake);
  EXPECT_TRUE(readable());
  EXPECT_EQ(pull_and_release(), Frames{frame});
  port.disconnect();
  EXPECT_EQ(push({frame}), 1u);
  EXPECT_EQ(dropped_out(DropReason::not_ready), 1u);
  EXPECT_TRUE(pull().empty());
  EXPECT_FALSE(readable());
}

}  // namespace
}  // namespace patchbay::vswitch
