#include "vswitch/capture/block_ring.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

namespace patchbay::vswitch::capture {
namespace {

/// Adds a block of `size` bytes of value `fill`; false if there is no room.
bool put(BlockRing& ring, std::size_t size, int fill) {
  const std::span<std::byte> block = ring.reserve(size);
  if (block.empty()) return false;
  EXPECT_EQ(block.size(), size);
  std::memset(block.data(), fill, size);
  ring.commit();
  return true;
}

TEST(BlockRing, RoundsItsCapacityUp) {
  EXPECT_EQ(BlockRing(0).capacity(), 4096U);
  EXPECT_EQ(BlockRing(5000).capacity(), 8192U);
}

// A freed block of this size stays with glibc's heap from the second one on.
TEST(BlockRing, GivesItsMemoryBack) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  for (int i = 0; i < 3; ++i) {
    auto ring = std::make_unique<BlockRing>(std::size_t{4} << 20);
    const auto block = reinterpret_cast<std::uintptr_t>(ring->reserve(64).data());
    ring.reset();
    unsigned char resident = 0;
    EXPECT_EQ(mincore(reinterpret_cast<void*>(block / page * page), page, &resident), -1) << "mapped, ring " << i;
    EXPECT_EQ(errno, ENOMEM);
  }
}

TEST(BlockRing, ShowsBlocksOnlyOncePublished) {
  BlockRing ring(4096);
  EXPECT_TRUE(ring.front().empty());
  ASSERT_TRUE(put(ring, 5, 1));
  ASSERT_TRUE(put(ring, 9, 2));
  EXPECT_TRUE(ring.front().empty());
  ring.publish();
  ASSERT_EQ(ring.front().size(), 5U);
  EXPECT_EQ(ring.front()[4], std::byte{1});
  ring.pop();
  ASSERT_EQ(ring.front().size(), 9U);
  EXPECT_EQ(ring.front()[0], std::byte{2});
  ring.pop();
  EXPECT_TRUE(ring.front().empty());
}

TEST(BlockRing, AReservationWithoutCommitLeavesNothing) {
  BlockRing ring(4096);
  ASSERT_FALSE(ring.reserve(100).empty());
  ASSERT_TRUE(put(ring, 3, 7));
  ring.publish();
  EXPECT_EQ(ring.front().size(), 3U);
}

TEST(BlockRing, FillsToTheLastByteAndThenRefuses) {
  BlockRing ring(4096);
  for (int i = 0; i < 4; ++i)
    ASSERT_TRUE(put(ring, 1016, i));  // 1,024 each with its header
  EXPECT_FALSE(put(ring, 1, 9));
  ring.publish();
  ring.pop();
  EXPECT_EQ(ring.front().empty(), false);
  EXPECT_TRUE(put(ring, 1016, 4));
  EXPECT_FALSE(put(ring, 1, 9));
}

TEST(BlockRing, RefusesWhatCanNeverFit) {
  BlockRing ring(4096);
  EXPECT_TRUE(ring.reserve(4089).empty());
  EXPECT_TRUE(ring.reserve(SIZE_MAX / 2).empty());
  EXPECT_EQ(ring.reserve(4088).size(), 4088U);
}

TEST(BlockRing, AnEmptyRingTakesHalfItsCapacityWhereverItStands) {
  for (std::size_t first = 8; first <= 4088; first += 8) {
    BlockRing ring(4096);
    ASSERT_TRUE(put(ring, first, 1));
    ring.publish();
    ASSERT_EQ(ring.front().size(), first);
    ring.pop();
    ASSERT_TRUE(put(ring, 2040, 2)) << first;
    ring.publish();
    ASSERT_EQ(ring.front().size(), 2040U) << first;
    ring.pop();
    ASSERT_TRUE(ring.front().empty()) << first;
  }
}

TEST(BlockRing, KeepsOrderAndContentBetweenThreads) {
  constexpr std::uint32_t kBlocks = 200'000;
  BlockRing ring(16 * 1024);
  std::thread producer([&ring] {
    for (std::uint32_t i = 0; i < kBlocks;) {
      const std::size_t size = sizeof i * (1 + i % 300);
      const std::span<std::byte> block = ring.reserve(size);
      if (block.empty()) {
        std::this_thread::yield();
        continue;
      }
      for (std::size_t at = 0; at < size; at += sizeof i)
        std::memcpy(block.data() + at, &i, sizeof i);
      ring.commit();
      ring.publish();
      ++i;
    }
  });
  std::uint32_t wrong = 0;
  for (std::uint32_t i = 0; i < kBlocks;) {
    const std::span<const std::byte> block = ring.front();
    if (block.empty()) {
      std::this_thread::yield();
      continue;
    }
    if (block.size() != sizeof i * (1 + i % 300)) ++wrong;
    for (std::size_t at = 0; at < block.size(); at += sizeof i) {
      if (std::memcmp(block.data() + at, &i, sizeof i) != 0) ++wrong;
    }
    ring.pop();
    ++i;
  }
  producer.join();
  EXPECT_EQ(wrong, 0U);
  EXPECT_TRUE(ring.front().empty());
}

}  // namespace
}  // namespace patchbay::vswitch::capture
