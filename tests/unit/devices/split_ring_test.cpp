// The device side of a split ring against a driver double: what a correct driver sees.
#include "devices/virtio/split_ring.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/devices/driver_ring.h"

namespace patchbay::devices::virtio {
namespace {

using testing::DriverRing;
using testing::GuestRam;

class SplitRingTest : public ::testing::TestWithParam<bool> {
 protected:
  void enable(DriverRing& driver) { ASSERT_EQ(ring.enable(ram.memory(), driver.setup()), RingError::none); }
  std::uint64_t buffer(std::size_t bytes) { return ram.allocate(bytes); }

  GuestRam ram;
  SplitRing ring;
  SegmentList list;
  Chain chain;
};

INSTANTIATE_TEST_SUITE_P(Notification, SplitRingTest, ::testing::Bool(),
                         [](const auto& suite) { return suite.param ? "EventIndex" : "Flags"; });

TEST_P(SplitRingTest, IsEmptyUntilTheDriverPublishes) {
  DriverRing driver(ram, 8, GetParam());
  enable(driver);
  driver.add({{buffer(64), 64}});
  EXPECT_EQ(ring.pop(list, chain), PopStatus::empty);
  driver.publish();
  EXPECT_EQ(ring.available(), 1);
  EXPECT_EQ(ring.pop(list, chain), PopStatus::chain);
  EXPECT_EQ(ring.pop(list, chain), PopStatus::empty);
}

TEST_P(SplitRingTest, DescribesAChainInOrder) {
  DriverRing driver(ram, 8, GetParam());
  enable(driver);
  const std::uint64_t a = buffer(64);
  const std::uint64_t b = buffer(64);
  const std::uint64_t c = buffer(64);
  const auto head = driver.add({{a, 12}, {b, 40}, {c, 60, true}});
  driver.publish();
  ASSERT_EQ(ring.pop(list, chain), PopStatus::chain);
  EXPECT_EQ(chain.id, *head);
  EXPECT_EQ(chain.readable, 2);
  EXPECT_EQ(chain.writable, 1);
  EXPECT_EQ(chain.readable_bytes, 52U);
  EXPECT_EQ(chain.writable_bytes, 60U);
  ASSERT_EQ(list.size(), 3U);
  EXPECT_EQ(list[0].data, ram.at(a));
  EXPECT_EQ(list[1].data, ram.at(b));
  EXPECT_EQ(list[2].data, ram.at(c));
  EXPECT_EQ(list[2].length, 60U);
}

TEST_P(SplitRingTest, FollowsAnIndirectTable) {
  DriverRing driver(ram, 8, GetParam());
  enable(driver);
  const std::uint64_t a = buffer(4096);
  std::vector<DriverRing::Buffer> buffers;
  for (unsigned i = 0; i < 20; ++i)
    buffers.push_back({a + 100 * i, 100});  // more than the ring has entries: Linux does that
  driver.add_indirect(buffers);
  driver.publish();
  ASSERT_EQ(ring.pop(list, chain), PopStatus::chain);
  EXPECT_EQ(chain.readable, 20);
  EXPECT_EQ(chain.readable_bytes, 2000U);
  EXPECT_EQ(list[19].data, ram.at(a + 1900));
}

TEST_P(SplitRingTest, FollowsDirectDescriptorsUpToAnIndirectOne) {  // 2.7.5.3.2
  DriverRing driver(ram, 8, GetParam());
  enable(driver);
  const std::uint64_t a = buffer(64);
  const std::uint64_t b = buffer(64);
  const std::uint64_t table = ram.allocate(16, 16);
  ram.store(table, SplitDescriptor{b, 20, 0, 0});
  const auto head = driver.add({{a, 12}, {table, 16}});
  const std::uint16_t second = driver.descriptor(*head).next;
  // The write flag of a descriptor that refers to a table means nothing.
  driver.set_descriptor(second, {table, 16, SplitDescriptor::kIndirect | SplitDescriptor::kWrite, 0});
  driver.publish();
  ASSERT_EQ(ring.pop(list, chain), PopStatus::chain);
  EXPECT_EQ(chain.readable, 2);
  EXPECT_EQ(chain.readable_bytes, 32U);
  EXPECT_EQ(list[1].data, ram.at(b));
}

TEST_P(SplitRingTest, LeavesOutElementsOfZeroLength) {
  DriverRing driver(ram, 8, GetParam());
  enable(driver);
  driver.add({{0, 0}, {buffer(64), 30}, {~0ULL, 0}});
  driver.publish();
  ASSERT_EQ(ring.pop(list, chain), PopStatus::chain);
  EXPECT_EQ(list.size(), 1U);
  EXPECT_EQ(chain.readable_bytes, 30U);
}

TEST_P(SplitRingTest, PublishesCompletionsOfABurstAtOnce) {
  DriverRing driver(ram, 8, GetParam());
  enable(driver);
  for (unsigned i = 0; i < 3; ++i)
    driver.add({{buffer(64), 64, true}});
  driver.publish();
  std::vector<std::uint16_t> ids;
  while (ring.pop(list, chain) == PopStatus::chain) {
    ids.push_back(chain.id);
    ring.complete(chain.id, 10U + chain.id);
  }
  ASSERT_EQ(ids.size(), 3U);
  EXPECT_EQ(driver.used_index(), 0);
  EXPECT_FALSE(driver.poll());
  EXPECT_TRUE(ring.flush());
  EXPECT_EQ(driver.used_index(), 3);
  for (const std::uint16_t id : ids) {
    const auto used = driver.poll();
    ASSERT_TRUE(used);
    EXPECT_EQ(used->id, id);
    EXPECT_EQ(used->length, 10U + id);
  }
  EXPECT_FALSE(ring.flush()) << "nothing new to tell";
}

TEST_P(SplitRingTest, RewindTakesBackPopsAndCompletions) {
  DriverRing driver(ram, 8, GetParam());
  enable(driver);
  const auto first = driver.add({{buffer(64), 64}});
  const auto second = driver.add({{buffer(64), 64}});
  driver.publish();
  ASSERT_EQ(ring.pop(list, chain), PopStatus::chain);
  ring.complete(chain.id, 0);
  const auto mark = ring.mark();
  ASSERT_EQ(ring.pop(list, chain), PopStatus::chain);
  EXPECT_EQ(chain.id, *second);
  ring.complete(chain.id, 0);
  ring.rewind(mark);
  EXPECT_TRUE(ring.flush());
  EXPECT_EQ(driver.used_index(), 1);
  EXPECT_EQ(driver.poll()->id, *first);
  ASSERT_EQ(ring.pop(list, chain), PopStatus::chain);
  EXPECT_EQ(chain.id, *second);
}

TEST_P(SplitRingTest, IndicesRunFreeThroughTheirWidth) {
  DriverRing driver(ram, 4, GetParam());
  enable(driver);
  const std::uint64_t a = buffer(64);
  for (unsigned i = 0; i < 70'000; ++i) {
    driver.add({{a, 64}});
    driver.publish();
    list.clear();
    ASSERT_EQ(ring.pop(list, chain), PopStatus::chain) << i;
    ring.complete(chain.id, 0);
    static_cast<void>(ring.flush());
    ASSERT_TRUE(driver.poll()) << i;
  }
  EXPECT_EQ(driver.used_index(), 70'000 % 65'536);
  EXPECT_EQ(ring.error(), RingError::none);
}

TEST_P(SplitRingTest, InterruptsOnlyWhenTheDriverWantsOne) {
  DriverRing driver(ram, 8, GetParam());
  enable(driver);
  const std::uint64_t a = buffer(64);
  const auto complete_one = [&] {
    driver.add({{a, 64}});
    driver.publish();
    EXPECT_EQ(ring.pop(list, chain), PopStatus::chain);
    ring.complete(chain.id, 0);
    const bool interrupt = ring.flush();
    driver.poll();
    return interrupt;
  };
  EXPECT_TRUE(complete_one());
  driver.disable_interrupts();
  EXPECT_FALSE(complete_one());
  EXPECT_FALSE(complete_one());
  EXPECT_FALSE(driver.enable_interrupts());
  EXPECT_TRUE(complete_one());
}

TEST_P(SplitRingTest, DriverSeesWhetherNotificationsAreWanted) {
  DriverRing driver(ram, 8, GetParam());
  enable(driver);
  const std::uint64_t a = buffer(64);
  const auto offer_one = [&] {
    driver.add({{a, 64}});
    return driver.publish();
  };
  const auto take_one = [&] {
    ASSERT_EQ(ring.pop(list, chain), PopStatus::chain);
    ring.complete(chain.id, 0);
    static_cast<void>(ring.flush());
    driver.poll();
  };
  EXPECT_TRUE(offer_one());
  take_one();
  ring.disable_notifications();
  EXPECT_FALSE(offer_one());
  EXPECT_TRUE(ring.enable_notifications()) << "a chain arrived while notifications were off";
  take_one();
  EXPECT_FALSE(ring.enable_notifications());
  EXPECT_TRUE(offer_one());
}

TEST(SplitRingEvents, FireOncePerPositionAskedFor) {
  GuestRam ram;
  DriverRing driver(ram, 16, true);
  SplitRing ring;
  ASSERT_EQ(ring.enable(ram.memory(), driver.setup()), RingError::none);
  driver.set_used_event(4);  // "tell me when the fifth is used"
  SegmentList list;
  Chain chain;
  const std::uint64_t a = ram.allocate(64);
  for (unsigned i = 0; i < 8; ++i)
    driver.add({{a, 64}});
  driver.publish();
  const auto complete = [&](unsigned n) {
    while (n-- > 0) {
      EXPECT_EQ(ring.pop(list, chain), PopStatus::chain);
      ring.complete(chain.id, 0);
    }
    return ring.flush();
  };
  EXPECT_FALSE(complete(4));
  EXPECT_TRUE(complete(2)) << "passes entry 4";
  EXPECT_FALSE(complete(2));
}

TEST(SplitRingReset, ForgetsPositionsErrorsAndEventState) {
  GuestRam ram;
  SplitRing ring;
  SegmentList list;
  Chain chain;
  {
    DriverRing driver(ram, 4, true);
    ASSERT_EQ(ring.enable(ram.memory(), driver.setup()), RingError::none);
    driver.offer(99);
    EXPECT_EQ(ring.pop(list, chain), PopStatus::broken);
  }
  ring.disable();
  EXPECT_FALSE(ring.enabled());
  EXPECT_EQ(ring.error(), RingError::none);
  EXPECT_EQ(ring.available(), 0);
  EXPECT_FALSE(ring.enable_notifications());
  ring.disable_notifications();

  DriverRing driver(ram, 8, false);
  ASSERT_EQ(ring.enable(ram.memory(), driver.setup()), RingError::none);
  driver.add({{ram.allocate(64), 64}});
  driver.publish();
  ASSERT_EQ(ring.pop(list, chain), PopStatus::chain);
  ring.complete(chain.id, 0);
  EXPECT_TRUE(ring.flush());
  EXPECT_EQ(driver.used_index(), 1);
}

TEST(SplitRingAddresses, ReachEveryRegionOfGuestMemory) {
  GuestRam low;
  GuestRam high;
  constexpr std::uint64_t high_base = 0x1'0000'0000;
  const GuestMemory memory({{GuestRam::kBase, low.bytes()}, {high_base, high.bytes()}});
  DriverRing driver(low, 8);
  SplitRing ring;
  ASSERT_EQ(ring.enable(memory, driver.setup()), RingError::none);
  driver.add({{high_base + 64, 10}, {GuestRam::kBase, 10}, {high_base + high.bytes().size() - 10, 10}});
  driver.publish();
  SegmentList list;
  Chain chain;
  ASSERT_EQ(ring.pop(list, chain), PopStatus::chain);
  EXPECT_EQ(list[0].data, high.bytes().data() + 64);
  EXPECT_EQ(list[1].data, low.bytes().data());
  EXPECT_EQ(list[2].data, high.bytes().data() + high.bytes().size() - 10);
}

}  // namespace
}  // namespace patchbay::devices::virtio
