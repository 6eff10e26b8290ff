// A card that several workers push to at once: frames are copied outside the lock, published in order, and a
// reset waits for those that are on their way.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>

#include "devices/net/receive_queue.h"
#include "devices/virtio/packed_ring.h"
#include "devices/virtio/queue_locks.h"
#include "devices/virtio/split_ring.h"
#include "tests/unit/devices/net_fixture.h"
#include "tests/unit/devices/packed_driver_ring.h"

namespace patchbay::devices::testing {
namespace {

using vswitch::FrameView;

/// `count` views of frames of `bytes`, each with `mark` in its first eight bytes and its number in the next.
struct Frames {
  Frames(std::size_t count, std::uint32_t bytes, std::uint64_t mark, std::uint64_t first = 0)
      : views(count),
        tail(bytes > vswitch::kHeaderBytes ? bytes - vswitch::kHeaderBytes : 0),
        pieces(tail.empty() ? 0 : 1, tail) {
    for (std::size_t i = 0; i < count; ++i) {
      views[i].length = bytes;
      views[i].offload = {};
      views[i].tail = pieces;
      views[i].header.fill(std::byte{0});
      const std::array<std::uint64_t, 2> words{mark, first + i};
      std::memcpy(views[i].header.data(), words.data(), sizeof words);
      pointers.push_back(&views[i]);
    }
  }
  std::vector<FrameView> views;
  std::vector<std::byte> tail;
  std::vector<vswitch::Piece> pieces;
  std::vector<const FrameView*> pointers;
};

template <typename DeviceRing_, typename DriverRing_>
struct Format {
  using Device = DeviceRing_;
  using Driver = DriverRing_;
};
template <typename F>
class SharedQueue : public ::testing::Test {
 protected:
  SharedQueue() : driver_(ram_, 64) {
    EXPECT_EQ(queue_->ring().enable(ram_.memory(), driver_.setup()), virtio::RingError::none);
    rules_.longest_frame = 9000;
    rules_.acknowledged = net::kFeatureMergeableRx;
  }
  void post(std::size_t count, std::uint32_t bytes) {
    for (std::size_t i = 0; i < count; ++i)
      driver_.add({{ram_.allocate(bytes, 64), bytes, true}});
    if constexpr (requires { driver_.publish(); }) static_cast<void>(driver_.publish());
  }
  template <typename Outside>
  std::size_t push(const Frames& frames, Outside outside) {
    return queue_->push(frames.pointers, rules_, counters_.out, copied_, outside).frames;
  }
  std::size_t used() {
    std::size_t count = 0;
    while (driver_.poll())
      ++count;
    return count;
  }

  GuestRam ram_{4 << 20};
  typename F::Driver driver_;
  std::unique_ptr<net::ReceiveQueue<typename F::Device>> queue_ =
      std::make_unique<net::ReceiveQueue<typename F::Device>>();
  net::FrameRules rules_;
  vswitch::PortCounters counters_;
  vswitch::Counter copied_;
};
using Formats =
    ::testing::Types<Format<virtio::SplitRing, DriverRing>, Format<virtio::PackedRing, PackedDriverRing>>;
TYPED_TEST_SUITE(SharedQueue, Formats);

TYPED_TEST(SharedQueue, WhoFinishesFirstWaitsForWhoCameFirst) {
  this->post(40, 2048);
  const Frames early(10, 64, 1);
  const Frames late(5, 64, 2);
  const Frames last(3, 64, 3);
  std::size_t seen_by_driver = 99;
  EXPECT_EQ(this->push(early,
                       [&](auto copy) {
                         // Two others come by while the first still copies.
                         EXPECT_EQ(this->push(late, [](auto copy_late) { copy_late(); }), 5U);
                         EXPECT_EQ(this->push(last, [](auto copy_last) { copy_last(); }), 3U);
                         seen_by_driver = this->used();
                         copy();
                       }),
            10U);
  EXPECT_EQ(seen_by_driver, 0U) << "buffers behind those of the first are not shown before it is done";
  EXPECT_EQ(this->used(), 18U);
  EXPECT_EQ(this->counters_.out.delivered.value(), 18U);

  // And the order of turns goes on as if nothing had been.
  EXPECT_EQ(this->push(last, [](auto copy) { copy(); }), 3U);
  EXPECT_EQ(this->used(), 3U);
}

TYPED_TEST(SharedQueue, AFrameWithoutRoomGivesItsBuffersBackWhileOthersCopy) {
  this->post(6, 512);  // a frame of 1,200 bytes takes three
  const Frames early(1, 1200, 1);
  const Frames two(2, 1200, 2);
  EXPECT_EQ(this->push(early,
                       [&](auto copy) {
                         EXPECT_EQ(this->push(two, [](auto copy_two) { copy_two(); }), 1U)
                             << "three of the other three";
                         copy();
                       }),
            1U);
  EXPECT_EQ(this->used(), 6U);
  this->post(3, 512);
  EXPECT_EQ(this->push(early, [](auto copy) { copy(); }), 1U);
  EXPECT_EQ(this->used(), 3U);
}

TYPED_TEST(SharedQueue, AFrameBeyondOnePlanTakesAnother) {
  // 60 buffers of 100 bytes for five frames of 1,188 bytes; then one that no plan's list of elements holds
  // beside the others is not taken for one that never fits.
  this->post(60, 100);
  EXPECT_EQ(this->push(Frames(5, 1188, 1), [](auto copy) { copy(); }), 5U);
  EXPECT_EQ(this->used(), 60U);
  EXPECT_EQ(this->counters_.out.delivered.value(), 5U);
}

TEST(QueueLocks, TheWholeWaitsForALease) {
  virtio::QueueLocks locks(3);
  std::atomic<bool> copying{false};
  std::atomic<bool> finished{false};
  std::thread worker([&] {
    std::unique_lock held(locks.part(1));
    virtio::QueueLocks::Part::lease(held, true, [&] {
      copying = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      finished = true;
    });
  });
  while (!copying)
    std::this_thread::yield();
  {
    const std::lock_guard part(locks.part(1));
    EXPECT_FALSE(finished) << "the part itself is free meanwhile";
  }
  const std::lock_guard whole(locks);
  EXPECT_TRUE(finished);
  worker.join();
}

// Workers push, the driver takes frames and posts buffers, and another thread resets the card now and then.
TEST(SharedCard, FramesOfSeveralWorkersArriveWholeAndInOrder) {
  constexpr std::uint64_t kWorkers = 3;
  constexpr std::uint64_t kFramesEach = 20'000;
  net::VirtioNetConfig config = Guest::default_config();
  config.mtu = 9000;
  Guest guest({.features = kPlain | net::kFeatureMergeableRx}, config);
  ASSERT_TRUE(guest.driver.start());
  guest.driver.post();

  std::atomic<std::uint64_t> running{kWorkers};
  std::vector<std::thread> workers;
  for (std::uint64_t worker = 0; worker < kWorkers; ++worker) {
    workers.emplace_back([&, worker] {
      const std::uint32_t bytes = worker == 0 ? 3000 : 64;  // two buffers, or one
      for (std::uint64_t sent = 0; sent < kFramesEach;) {
        const Frames frames(std::min<std::uint64_t>(16, kFramesEach - sent), bytes, worker, sent);
        const std::size_t taken = guest.card.push(frames.pointers);
        sent += taken;
        if (taken == 0) std::this_thread::yield();
      }
      --running;
    });
  }
  std::array<std::uint64_t, kWorkers> next{};
  std::uint64_t received = 0;
  for (;;) {
    const bool last_look = running == 0;
    std::uint64_t taken = 0;
    while (const auto frame = guest.driver.receive()) {
      ASSERT_GE(frame->frame.size(), 16U);
      std::array<std::uint64_t, 2> words;
      std::memcpy(words.data(), frame->frame.data(), sizeof words);
      ASSERT_LT(words[0], kWorkers);
      ASSERT_EQ(frame->frame.size(), words[0] == 0 ? 3000U : 64U);
      ASSERT_EQ(words[1], next[words[0]]++) << "of worker " << words[0];
      ++taken;
    }
    received += taken;
    if (taken != 0) {
      guest.driver.post();
    } else if (last_look) {
      break;
    } else {
      std::this_thread::yield();
    }
  }
  for (std::thread& worker : workers)
    worker.join();
  EXPECT_EQ(received, kWorkers * kFramesEach);
  EXPECT_EQ(guest.card.counters.out.delivered.value(), received);
  EXPECT_EQ(guest.card.counters.out.bytes.value(), kFramesEach * (3000 + 2 * 64));
}

TEST(SharedCard, ResetsAndLinkChangesAmongPushesAndPullsLoseNothingUncounted) {
  net::VirtioNetConfig config = Guest::default_config();
  config.mtu = 9000;
  Guest guest({.features = kPlain | net::kFeatureMergeableRx}, config);
  ASSERT_TRUE(guest.driver.start());
  std::atomic<bool> over{false};
  std::atomic<std::uint64_t> dealt_with{0};
  std::vector<std::thread> threads;
  for (std::uint64_t worker = 0; worker < 2; ++worker) {
    threads.emplace_back([&, worker] {
      const Frames frames(8, worker == 0 ? 64 : 2500, worker);
      while (!over)
        dealt_with += guest.card.push(frames.pointers);
    });
  }
  threads.emplace_back([&] {
    const auto burst = std::make_unique<vswitch::Burst>();
    while (!over) {
      burst->clear();
      guest.card.pull(*burst);
      if (!burst->empty()) guest.card.release(burst->size());
      if (!guest.card.arm()) guest.card.disarm();
    }
  });
  for (int round = 0; round < 300; ++round) {
    guest.card.set_link(round % 3 != 0);
    guest.card.reset();
    guest.card.write_status(virtio::kAcknowledge);
    std::this_thread::yield();
  }
  over = true;
  for (std::thread& thread : threads)
    thread.join();
  std::uint64_t dropped = 0;
  for (const vswitch::SharedCounter& reason : guest.card.counters.out.dropped)
    dropped += reason.value();
  EXPECT_EQ(guest.card.counters.out.delivered.value() + dropped, dealt_with);
}

}  // namespace
}  // namespace patchbay::devices::testing
