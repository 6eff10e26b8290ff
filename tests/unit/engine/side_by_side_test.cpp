#include "tools/engine/side_by_side.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

namespace patchbay::tools {
namespace {

TEST(SideBySideTest, EveryIndexOnce) {
  for (const std::size_t threads : {1u, 2u, 16u}) {
    for (const std::size_t count : {0u, 1u, 100u}) {
      std::vector<std::atomic<int>> calls(count);
      side_by_side(count, threads, [&](std::size_t i) { ++calls[i]; });
      for (const auto& n : calls)
        EXPECT_EQ(n, 1);
    }
  }
}

TEST(SideBySideTest, WaitsOverlap) {
  // All sixteen are inside at once, or none would leave.
  std::atomic<int> inside{0};
  side_by_side(16, 16, [&](std::size_t) {
    ++inside;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (inside < 16 && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
  });
  EXPECT_EQ(inside, 16);
}

TEST(SideBySideTest, TheFirstFailureEndsItAll) {
  std::atomic<int> calls{0};
  EXPECT_THROW(side_by_side(1000, 4,
                            [&](std::size_t i) {
                              ++calls;
                              if (i == 10) throw std::runtime_error("no");
                              if (i > 10) std::this_thread::sleep_for(std::chrono::milliseconds(1));
                            }),
               std::runtime_error);
  EXPECT_LT(calls, 1000);
}

}  // namespace
}  // namespace patchbay::tools
