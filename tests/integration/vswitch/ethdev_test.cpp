// DPDK devices as ports: net_ring, whose frames come back to whoever sent them, on a running EAL.
#include "vswitch/ethdev_port.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/unit/capture/test_frame.h"
#include "tests/unit/vswitch/memory_port.h"
#include "vswitch/eal.h"

namespace patchbay::vswitch {
namespace {

using capture::TestFrame;
using test::Bytes;
using test::bytes_of;
using ::testing::HasSubstr;

/// Bytes that differ from those of another seed.
Bytes content(std::size_t length, unsigned seed) {
  Bytes bytes(length);
  for (std::size_t i = 0; i < length; ++i)
    bytes[i] = static_cast<std::byte>(seed * 31 + i * 7);
  return bytes;
}

class EthdevPortTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { start_eal(); }
  void SetUp() override { port_.start(); }

  std::size_t push(std::size_t length, unsigned seed) {
    const TestFrame frame(content(length, seed));
    const FrameView* const view = &frame.view();
    return port_.push({&view, 1});
  }
  std::size_t pull() {
    burst_->clear();
    port_.pull(*burst_);
    return burst_->size();
  }

  EthdevPort port_{{.port_name = "up:port", .devargs = "net_ring0", .mtu = 1500}};
  std::unique_ptr<Burst> burst_ = std::make_unique<Burst>();
};

TEST_F(EthdevPortTest, FramesOfAllLengthsPassWhole) {
  EXPECT_EQ(port_.driver(), "net_ring");
  const std::vector<std::size_t> lengths{14, 60, 127, 128, 129, 1514, 1522};
  std::uint64_t total = 0;
  for (const std::size_t length : lengths) {
    EXPECT_EQ(push(length, static_cast<unsigned>(length)), 1U);
    total += length;
  }
  ASSERT_EQ(pull(), lengths.size());
  for (std::size_t i = 0; i < lengths.size(); ++i)
    EXPECT_EQ(bytes_of((*burst_)[i]), content(lengths[i], static_cast<unsigned>(lengths[i]))) << lengths[i];
  port_.release(lengths.size());
  EXPECT_EQ(pull(), 0U);
  EXPECT_EQ(port_.counters.out.delivered.value(), lengths.size());
  EXPECT_EQ(port_.counters.out.bytes.value(), total);
}

TEST_F(EthdevPortTest, WhatWasNotConsumedComesFirstNextTime) {
  for (unsigned i = 0; i < 3; ++i)
    ASSERT_EQ(push(100, i), 1U);
  ASSERT_EQ(pull(), 3U);
  port_.release(1);
  ASSERT_EQ(push(100, 3), 1U);
  EXPECT_TRUE(port_.arm()) << "frames wait in the port";
  ASSERT_EQ(pull(), 3U);
  for (unsigned i = 0; i < 3; ++i)
    EXPECT_EQ(bytes_of((*burst_)[i]), content(100, i + 1));
  port_.release(3);
}

TEST_F(EthdevPortTest, BeforeItStartsNothingPasses) {
  EthdevPort port({.port_name = "x:port", .devargs = "net_ring1", .mtu = 1500});
  const TestFrame frame(content(64, 0));
  const FrameView* const view = &frame.view();
  EXPECT_EQ(port.push({&view, 1}), 1U);
  EXPECT_EQ(port.counters.out.dropped[static_cast<std::size_t>(DropReason::not_ready)].value(), 1U);
  burst_->clear();
  port.pull(*burst_);
  EXPECT_TRUE(burst_->empty());
}

TEST_F(EthdevPortTest, FramesBeyondTheMtuAreDroppedAndCounted) {
  EXPECT_EQ(push(1523, 0), 1U);
  EXPECT_EQ(port_.counters.out.dropped[static_cast<std::size_t>(DropReason::too_long)].value(), 1U);
  EXPECT_EQ(pull(), 0U);
}

TEST_F(EthdevPortTest, WhatFindsNoRoomStaysWithTheSwitchAndNothingIsLost) {
  std::uint64_t sent = 0;
  while (push(64, static_cast<unsigned>(sent)) == 1) {
    ASSERT_LT(++sent, 100'000U) << "there is always room";
  }
  std::uint64_t received = 0;
  while (const std::size_t count = pull()) {
    for (std::size_t i = 0; i < count; ++i)
      EXPECT_EQ(bytes_of((*burst_)[i]), content(64, static_cast<unsigned>(received + i)));
    port_.release(count);
    received += count;
  }
  EXPECT_EQ(received, sent);
  EXPECT_EQ(port_.counters.out.delivered.value(), sent);
  EXPECT_EQ(push(64, 0), 1U) << "there is room again";
}

TEST_F(EthdevPortTest, ASleepingWorkerIsWokenToLook) {
  pollfd wake{port_.wake_fd(), POLLIN, 0};
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(port_.arm());
    EXPECT_EQ(::poll(&wake, 1, 60'000), 1);
    port_.disarm();
    EXPECT_EQ(::poll(&wake, 1, 0), 0) << "readable after disarm()";
  }
}

TEST_F(EthdevPortTest, WhatCannotBeSaysWhy) {
  const auto failure = [](const std::string& devargs, unsigned mtu = 1500) -> std::string {
    try {
      const EthdevPort port({.port_name = "x:port", .devargs = devargs, .mtu = mtu});
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "none";
  };
  EXPECT_THAT(failure("net_nosuch0"),
              HasSubstr("'x:port' cannot have the DPDK device 'net_nosuch0': there is no such driver"));
  EXPECT_THAT(failure("net_af_packet0,iface=nosuch0"), HasSubstr("see that what they name exists"));
  EXPECT_THAT(failure("net_ring0"), HasSubstr("is taken, append a number"));
  EXPECT_EQ(failure("net_ring1"), "none") << "a failure leaves nothing that is in the way";
  EXPECT_EQ(failure("net_ring1"), "none") << "and a port that went away neither";
}

}  // namespace
}  // namespace patchbay::vswitch
