#include "vmm/platform/wait_device.h"

#include <gtest/gtest.h>
#include <x86intrin.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

namespace patchbay::vmm {
namespace {

constexpr std::uint32_t kBlock = 64;

class WaitDeviceTest : public testing::Test {
 protected:
  WaitDeviceTest() : device_(memory_) {}

  void write(std::uint64_t offset, std::uint32_t value) {
    device_.write(offset, std::as_bytes(std::span(&value, 1)));
  }
  std::uint32_t pending() {
    std::uint32_t value;
    std::memcpy(&value, ram_.data() + kBlock + 8, sizeof value);
    return value;
  }
  void set_deadline(std::uint64_t tsc) { std::memcpy(ram_.data() + kBlock, &tsc, sizeof tsc); }
  std::optional<std::uint32_t> wait() {
    return device_.wait([] { return false; });
  }

  alignas(64) std::array<std::byte, 4096> ram_{};
  devices::GuestMemory memory_{{{0, std::span(ram_)}}};
  WaitDevice device_;
};

TEST_F(WaitDeviceTest, PendingBitsEndTheWait) {
  write(0, kBlock);
  device_.signal(Wake::device_work);
  device_.signal(Wake::console_input);
  EXPECT_EQ(pending(), 3U);
  EXPECT_EQ(wait(), 3U);
  EXPECT_EQ(pending(), 3U) << "clearing them is the guest's part";
}

TEST_F(WaitDeviceTest, SignalsBeforeTheControlBlockAreKept) {
  device_.signal(Wake::power_button);
  EXPECT_EQ(wait(), 4U);
  write(0, kBlock);
  EXPECT_EQ(pending(), 4U);
}

TEST_F(WaitDeviceTest, SignalWakesASleeper) {
  write(0, kBlock);
  std::thread waker([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    device_.signal(Wake::device_work);
  });
  EXPECT_EQ(wait(), 1U);
  waker.join();
}

TEST_F(WaitDeviceTest, DeadlineEndsTheWait) {
  device_.set_tsc_khz(
      1'000'000);  // whatever the host's is: the deadline decides, the frequency only the sleep
  write(0, kBlock);
  set_deadline(__rdtsc() + 1'000'000);
  EXPECT_EQ(wait(), 0U);
  set_deadline(1);
  EXPECT_EQ(wait(), 0U) << "long ago";
}

TEST_F(WaitDeviceTest, FarDeadlineDoesNotOverflow) {
  write(0, kBlock);
  set_deadline(~std::uint64_t{0});
  std::thread waker([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    device_.signal(Wake::device_work);
  });
  EXPECT_EQ(wait(), 1U);
  waker.join();
}

TEST_F(WaitDeviceTest, InterruptionReturnsNothing) {
  write(0, kBlock);
  std::atomic<bool> stop{false};
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    stop = true;
    device_.interrupt();
  });
  EXPECT_EQ(device_.wait([&] { return stop.load(); }), std::nullopt);
  stopper.join();
}

TEST_F(WaitDeviceTest, BadControlBlocksAreIgnored) {
  write(0, kBlock);
  for (const std::uint32_t address : {1U, 63U, 4096U, 4096U + 64, 0xFFFF'FFC0U})
    write(0, address);
  const std::uint16_t narrow = 128;
  device_.write(0, std::as_bytes(std::span(&narrow, 1)));
  write(4, 128);
  write(2, 128);
  device_.signal(Wake::device_work);
  EXPECT_EQ(pending(), 1U) << "still the first one";
}

TEST_F(WaitDeviceTest, OtherReadsAreOnes) {
  std::array<std::byte, 2> narrow{};
  device_.read(4, narrow);
  EXPECT_EQ(narrow[0], std::byte{0xFF});
  std::array<std::byte, 4> other{};
  device_.read(0, other);
  EXPECT_EQ(other[3], std::byte{0xFF});
}

TEST_F(WaitDeviceTest, ResetForgetsTheControlBlock) {
  write(0, kBlock);
  device_.reset();
  device_.signal(Wake::device_work);
  EXPECT_EQ(pending(), 0U);
  device_.reset();
  write(0, kBlock);
  EXPECT_EQ(pending(), 0U);
}

TEST_F(WaitDeviceTest, NoSignalIsLostBetweenThreads) {
  write(0, kBlock);
  constexpr int kRounds = 2000;
  std::atomic<int> seen{0};
  std::thread guest([&] {
    for (int i = 0; i < kRounds; ++i) {
      ASSERT_EQ(wait(), 1U);
      std::uint32_t* word = reinterpret_cast<std::uint32_t*>(ram_.data() + kBlock + 8);
      std::atomic_ref(*word).exchange(0);
      seen.store(i + 1);
    }
  });
  for (int i = 0; i < kRounds; ++i) {
    device_.signal(Wake::device_work);
    while (seen.load() != i + 1)
      std::this_thread::yield();
  }
  guest.join();
}

}  // namespace
}  // namespace patchbay::vmm
