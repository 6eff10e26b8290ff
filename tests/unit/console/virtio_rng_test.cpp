#include "devices/entropy/virtio_rng.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/unit/devices/plain_driver.h"

namespace patchbay::devices::entropy {
namespace {

using devices::testing::GuestRam;
using devices::testing::PlainDriver;

struct VirtioRngTest : ::testing::Test {
  GuestRam ram;
  virtio::DoorbellThread thread;
  VirtioRng device{thread};
  PlainDriver driver{ram, device};
  void SetUp() override { ASSERT_TRUE(driver.start()); }
};

TEST_F(VirtioRngTest, FillsBuffersWithDifferentBytes) {
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 8; ++i) {
    const std::uint64_t at = ram.allocate(64);
    driver.ring(0).add({{at, 24, true}, {at + 24, 40, true}});
    driver.kick(0);
    const auto used = driver.wait_used(0);
    ASSERT_TRUE(used);
    EXPECT_EQ(used->length, 64U);
    for (std::uint64_t word = at; word < at + 64; word += 8)
      seen.insert(ram.load<std::uint64_t>(word));
  }
  EXPECT_EQ(seen.size(), 64U);
  EXPECT_GE(driver.queue_interrupts(), 8U);
}

TEST_F(VirtioRngTest, GivesNoMoreThanItsLimitAndNothingToReadableBuffers) {
  const std::uint64_t at = ram.allocate(8192, 4096);
  driver.ring(0).add({{at, 8192, true}});
  driver.kick(0);
  auto used = driver.wait_used(0);
  ASSERT_TRUE(used);
  EXPECT_EQ(used->length, VirtioRng::kMaxBytes);
  EXPECT_EQ(ram.load<std::uint64_t>(at + 4096), 0U);

  std::memset(ram.at(at), 0, 64);
  driver.ring(0).add({{at, 64}});
  driver.kick(0);
  used = driver.wait_used(0);
  ASSERT_TRUE(used);
  EXPECT_EQ(used->length, 0U);
  EXPECT_EQ(ram.load<std::uint64_t>(at), 0U);
}

TEST_F(VirtioRngTest, StopsAtABrokenRing) {
  driver.ring(0).offer(1000);
  device.notify(0);
  EXPECT_TRUE(driver.becomes_broken());
}

}  // namespace
}  // namespace patchbay::devices::entropy
