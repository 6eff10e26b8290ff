// The appliance's driver side of a packed ring against the device side of the VMM: two independent readings
// of the specification have to agree. Needs no KVM; the ring lies in this process's memory.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <random>
#include <span>
#include <vector>

#include "appliances/router/core/arena.h"
#include "appliances/router/guest/packed_ring.h"
#include "appliances/router/guest/panic.h"
#include "devices/guest_memory.h"
#include "devices/virtio/packed_ring.h"

namespace patchbay::router::guest {

void panic(std::string_view reason) noexcept {
  std::cerr << "panic: " << reason << '\n';
  std::abort();
}

namespace {

namespace virtio = devices::virtio;

constexpr std::uint16_t kSize = 16;
constexpr std::uint32_t kBufferBytes = 64;

class GuestRing : public testing::Test {
 protected:
  GuestRing() {
    virtio::RingSetup setup;
    setup.size = kSize;
    setup.descriptors = address(driver_.descriptor_area());
    setup.driver_area = address(driver_.driver_area());
    setup.device_area = address(driver_.device_area());
    setup.event_index = true;
    setup.in_order = true;
    setup.packed = true;
    EXPECT_EQ(device_.enable(guest_, setup), virtio::RingError::none);
    for (std::size_t i = 0; i < packets_.size(); ++i) {
      packets_[i].buffer = buffers_.data() + i * kBufferBytes;
      packets_[i].driver_data = i;
    }
  }

  static std::uint64_t address(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

  void add(std::size_t packet) { driver_.add(&packets_[packet], packets_[packet].buffer, kBufferBytes); }

  /// The device takes a chain and returns its descriptor; the test fails if it is not `packet`'s buffer.
  std::uint16_t pop(std::size_t packet) {
    virtio::SegmentList segments;
    virtio::Chain chain;
    EXPECT_EQ(device_.pop(segments, chain), virtio::PopStatus::chain);
    EXPECT_EQ(segments.size(), 1U);
    EXPECT_EQ(segments[0].data, packets_[packet].buffer);
    EXPECT_EQ(segments[0].length, kBufferBytes);
    EXPECT_EQ(chain.writable, 1U);
    return chain.id;
  }

  alignas(64) std::array<std::byte, 64 * 1024> memory_{};
  std::array<std::byte, 64 * kBufferBytes> buffers_{};
  std::array<PacketBuffer, 64> packets_;
  // The whole process as one region (but page 0), so that pointers are guest addresses.
  static constexpr std::uintptr_t kFirst = 4096;
  devices::GuestMemory guest_{{{kFirst, {reinterpret_cast<std::byte*>(kFirst), SIZE_MAX / 2}}}};
  Arena arena_{memory_};
  PackedRing driver_{arena_, kSize, PackedRing::Direction::from_device};
  virtio::PackedRing device_;
};

TEST_F(GuestRing, DeviceSeesNothingBeforePublish) {
  add(0);
  EXPECT_EQ(device_.available(), 0U);
  static_cast<void>(driver_.publish());
  EXPECT_NE(device_.available(), 0U);
  EXPECT_EQ(pop(0), 0U);
}

TEST_F(GuestRing, FullRingHasNoRoomUntilBuffersAreCollected) {
  for (std::size_t i = 0; i < kSize; ++i) {
    ASSERT_EQ(driver_.free(), kSize - i);
    add(i);
  }
  EXPECT_EQ(driver_.free(), 0U);
  static_cast<void>(driver_.publish());
  for (std::size_t i = 0; i < kSize; ++i)
    device_.complete(pop(i), static_cast<std::uint32_t>(100 + i));
  static_cast<void>(device_.flush());
  EXPECT_TRUE(driver_.waiting());
  EXPECT_EQ(driver_.free(), 0U);

  std::array<PackedRing::Used, kSize> used;
  EXPECT_EQ(driver_.collect(std::span(used).first(5)), 5U);
  EXPECT_EQ(driver_.free(), 5U);
  EXPECT_EQ(used[4].packet, &packets_[4]);
  EXPECT_EQ(used[4].length, 104U);
  EXPECT_EQ(driver_.collect(used), kSize - 5U);
  EXPECT_EQ(driver_.collect(used), 0U);
  EXPECT_EQ(driver_.free(), kSize);
}

TEST_F(GuestRing, NotifiesOnlyWhenTheDeviceAsks) {
  add(0);
  EXPECT_TRUE(driver_.publish());  // a fresh device wants to hear of everything
  device_.disable_notifications();
  add(1);
  EXPECT_FALSE(driver_.publish());
  EXPECT_FALSE(driver_.publish());  // nothing new
  pop(0);
  pop(1);
  EXPECT_FALSE(device_.enable_notifications());
  add(2);
  add(3);
  EXPECT_TRUE(driver_.publish());
  add(4);
  EXPECT_FALSE(driver_.publish());
}

TEST_F(GuestRing, IsInterruptedOnlyAfterAsking) {
  std::array<PackedRing::Used, kSize> used;
  const auto exchange = [&](std::size_t packet) {
    add(packet);
    static_cast<void>(driver_.publish());
    device_.complete(pop(packet), 1);
    return device_.flush();
  };
  EXPECT_FALSE(exchange(0));
  EXPECT_TRUE(driver_.enable_notification());  // one is back already
  EXPECT_EQ(driver_.collect(used), 1U);
  EXPECT_FALSE(driver_.enable_notification());
  EXPECT_TRUE(exchange(1));
  EXPECT_FALSE(exchange(2));  // it was for one
  EXPECT_EQ(driver_.collect(used), 2U);
}

// Every place in the ring is passed in laps of both parities, and asks for one message.
TEST_F(GuestRing, IsInterruptedWhenHalfIsBack) {
  std::array<PackedRing::Used, kSize> used;
  for (std::size_t start = 0; start < 3 * kSize; ++start) {
    for (std::size_t i = 0; i < kSize; ++i)
      add(i);
    static_cast<void>(driver_.publish());
    EXPECT_FALSE(driver_.enable_notification(kSize / 2));
    for (std::size_t i = 0; i < kSize; ++i) {
      device_.complete(pop(i), 0);
      EXPECT_EQ(device_.flush(), i + 1 == kSize / 2) << start << ", " << i;
    }
    EXPECT_TRUE(driver_.enable_notification(kSize / 2)) << "some are back";
    EXPECT_EQ(driver_.collect(used), kSize);
    // One more, so that the next lap begins a place further on.
    add(0);
    static_cast<void>(driver_.publish());
    device_.complete(pop(0), 0);
    static_cast<void>(device_.flush());
    EXPECT_EQ(driver_.collect(used), 1U);
    ASSERT_FALSE(HasFailure());
  }
}

/// Buffers come and go in random portions, with and without a length, through thousands of laps.
TEST_F(GuestRing, KeepsEveryBufferThroughManyLaps) {
  std::mt19937 random(1);
  const auto up_to = [&random](std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit)(random);
  };
  std::deque<std::size_t> idle;
  for (std::size_t i = 0; i < packets_.size(); ++i)
    idle.push_back(i);
  std::deque<std::size_t> available;                       // in the order in which the device must see them
  std::deque<std::pair<std::size_t, std::uint32_t>> used;  // packet, length
  std::size_t exchanged = 0;
  while (exchanged < 3 * 65536) {
    for (std::size_t n = up_to(driver_.free()); n > 0; --n) {
      add(idle.front());
      available.push_back(idle.front());
      idle.pop_front();
    }
    static_cast<void>(driver_.publish());
    const bool writes = up_to(1) != 0;
    for (std::size_t n = up_to(available.size()); n > 0; --n) {
      const std::size_t packet = available.front();
      available.pop_front();
      const auto length = static_cast<std::uint32_t>(writes ? up_to(kBufferBytes) : 0);
      device_.complete(pop(packet), length);
      used.emplace_back(packet, length);
    }
    static_cast<void>(device_.flush());
    std::array<PackedRing::Used, 7> collected;
    const std::size_t count = driver_.collect(collected);
    ASSERT_EQ(count, std::min(collected.size(), used.size()));
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(collected[i].packet, &packets_[used.front().first]);
      ASSERT_EQ(collected[i].length, used.front().second);
      idle.push_back(used.front().first);
      used.pop_front();
    }
    exchanged += count;
    ASSERT_FALSE(HasFailure());
  }
}

}  // namespace
}  // namespace patchbay::router::guest
