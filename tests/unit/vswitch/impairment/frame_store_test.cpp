#include "vswitch/impairment/frame_store.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>

#include "tests/unit/vswitch/memory_port.h"

namespace patchbay::vswitch {
namespace {

using std::chrono::nanoseconds;
using test::Bytes;
using test::bytes_of;
using test::ethernet_frame;

constexpr std::size_t kBytes = 2 * kMaxFrameBytes;

class FrameStoreTest : public testing::Test {
 protected:
  bool add(const Bytes& bytes, std::int64_t due, std::optional<std::uint32_t> bit = {},
           std::uint8_t flags = 0) {
    test::MemoryPort port("p");
    port.piece_bytes = 1500;
    port.send(bytes, {.flags = flags});
    burst_->clear();
    port.pull(*burst_);
    return store_.add((*burst_)[0], nanoseconds(due), bit);
  }
  FrameView& shown(FrameStore::Slot slot) {
    burst_->clear();
    store_.show(slot, *burst_);
    return (*burst_)[0];
  }
  Bytes take() {
    const FrameStore::Slot slot = store_.take();
    Bytes bytes = bytes_of(shown(slot));
    store_.free(slot);
    return bytes;
  }

  std::unique_ptr<Burst> burst_ = std::make_unique<Burst>();
  FrameStore store_{kBytes, 100};
};

TEST_F(FrameStoreTest, KeepsBytesAndOrdersByTime) {
  const Bytes late = ethernet_frame(1, 2, 9514, 1), early = ethernet_frame(1, 2, 60, 2),
              also_early = ethernet_frame(1, 2, 129, 3);
  ASSERT_TRUE(add(late, 300));
  ASSERT_TRUE(add(early, 100));
  ASSERT_TRUE(add(also_early, 100));
  EXPECT_EQ(store_.next_due(), nanoseconds(100));
  EXPECT_EQ(take(), early);
  EXPECT_EQ(take(), also_early) << "first come, first served";
  EXPECT_EQ(store_.next_due(), nanoseconds(300));
  EXPECT_EQ(take(), late);
  EXPECT_EQ(store_.waiting(), 0u);
}

TEST_F(FrameStoreTest, FlipsOneBit) {
  Bytes frame = ethernet_frame(1, 2, 1514);
  ASSERT_TRUE(add(frame, 0, 1000 * 8 + 3));
  frame[1000] ^= std::byte{8};
  EXPECT_EQ(take(), frame);
}

TEST_F(FrameStoreTest, ACorruptFrameIsNotCalledValid) {
  ASSERT_TRUE(add(ethernet_frame(1, 2), 0, {}, Offload::kDataValid));
  EXPECT_EQ(shown(store_.take()).offload.flags, Offload::kDataValid);
  ASSERT_TRUE(add(ethernet_frame(1, 2), 0, 100, Offload::kDataValid));
  EXPECT_EQ(shown(store_.take()).offload.flags, 0);
}

TEST_F(FrameStoreTest, IsFullByFramesOrBytes) {
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(add(ethernet_frame(1, 2), i));
  EXPECT_FALSE(add(ethernet_frame(1, 2), 0));
  for (int i = 0; i < 100; ++i)
    (void)take();
  ASSERT_TRUE(add(ethernet_frame(1, 2, 60000), 0));
  ASSERT_TRUE(add(ethernet_frame(1, 2, 60000), 1));
  EXPECT_FALSE(add(ethernet_frame(1, 2, 60000), 2));
  (void)take();
  EXPECT_TRUE(add(ethernet_frame(1, 2, 60000), 2)) << "in the place of the first";
}

TEST_F(FrameStoreTest, ReleasesAllInTheOrderTheyCame) {
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(add(ethernet_frame(1, 2, 64, static_cast<unsigned>(i)), 1000 - i));
  store_.release_all();
  for (int i = 0; i < 5; ++i) {
    EXPECT_LE(store_.next_due(), nanoseconds(0));
    EXPECT_EQ(take(), ethernet_frame(1, 2, 64, static_cast<unsigned>(i)));
  }
}

TEST_F(FrameStoreTest, SurvivesAnyOrderOfComingAndGoing) {
  std::minstd_rand random(1);
  std::multimap<std::int64_t, Bytes> expected;
  std::deque<std::pair<FrameStore::Slot, Bytes>> taken;
  std::size_t refused = 0;
  for (int step = 0; step < 20000; ++step) {
    if (random() % 100 < 55) {
      const std::size_t size = random() % 20 == 0 ? 20000 + random() % 40000 : 60 + random() % 3000;
      Bytes frame = ethernet_frame(1, 2, size, static_cast<unsigned>(random()));
      const std::int64_t due = step + static_cast<std::int64_t>(random() % 200);
      if (add(frame, due)) {
        expected.emplace(due, std::move(frame));
      } else {
        ++refused;
      }
    } else if (store_.waiting() != 0) {
      ASSERT_EQ(store_.next_due().count(), expected.begin()->first);
      taken.emplace_back(store_.take(), std::move(expected.begin()->second));
      expected.erase(expected.begin());
    }
    while (taken.size() > 3) {
      ASSERT_EQ(bytes_of(shown(taken.front().first)), taken.front().second) << step;
      store_.free(taken.front().first);
      taken.pop_front();
    }
    ASSERT_EQ(store_.waiting(), expected.size());
  }
  EXPECT_GT(refused, 100u);
}

}  // namespace
}  // namespace patchbay::vswitch
