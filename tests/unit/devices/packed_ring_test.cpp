// The device side of a packed ring: what a correct driver sees, and what a hostile one gets.
#include "devices/virtio/packed_ring.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <span>
#include <vector>

#include "tests/unit/devices/packed_driver_ring.h"

namespace patchbay::devices::virtio {
namespace {

using testing::GuestRam;
using testing::PackedDriverRing;

class PackedRingTest : public ::testing::Test {
 protected:
  explicit PackedRingTest(bool event_index = false) : driver(ram, 8, event_index) {
    EXPECT_EQ(ring.enable(ram.memory(), driver.setup()), RingError::none);
  }
  std::uint64_t buffer(std::size_t bytes = 64) { return ram.allocate(bytes); }
  PopStatus pop() {
    list.clear();
    return ring.pop(list, chain);
  }

  GuestRam ram;
  PackedDriverRing driver;
  PackedRing ring;
  SegmentList list;
  Chain chain;
};

TEST_F(PackedRingTest, DescribesAChainInOrder) {
  EXPECT_EQ(ring.available(), 0);
  EXPECT_EQ(pop(), PopStatus::empty);
  const std::uint64_t a = buffer(), b = buffer(), c = buffer();
  const auto id = driver.add({{a, 12}, {b, 40}, {c, 60, true}});
  EXPECT_NE(ring.available(), 0);
  ASSERT_EQ(pop(), PopStatus::chain);
  EXPECT_EQ(chain.id, *id);
  EXPECT_EQ(chain.readable, 2);
  EXPECT_EQ(chain.writable, 1);
  EXPECT_EQ(chain.readable_bytes, 52U);
  EXPECT_EQ(chain.writable_bytes, 60U);
  EXPECT_EQ(list[0].data, ram.at(a));
  EXPECT_EQ(list[2].data, ram.at(c));
  EXPECT_EQ(pop(), PopStatus::empty);
}

TEST_F(PackedRingTest, FollowsAnIndirectTable) {
  const std::uint64_t a = buffer(4096);
  std::vector<PackedDriverRing::Buffer> buffers;
  for (unsigned i = 0; i < 20; ++i)
    buffers.push_back({a + 100 * i, 100, i >= 15});
  driver.add_indirect(buffers);
  ASSERT_EQ(pop(), PopStatus::chain);
  EXPECT_EQ(chain.readable, 15);
  EXPECT_EQ(chain.writable, 5);
  EXPECT_EQ(list[19].data, ram.at(a + 1900));
}

TEST_F(PackedRingTest, PublishesCompletionsOfABurstAtOnce) {
  const auto first = driver.add({{buffer(), 64, true}, {buffer(), 64, true}});
  const auto second = driver.add({{buffer(), 64, true}});
  ASSERT_EQ(pop(), PopStatus::chain);
  ring.complete(chain.id, 100);
  ASSERT_EQ(pop(), PopStatus::chain);
  ring.complete(chain.id, 7);
  EXPECT_FALSE(driver.poll()) << "staged only";
  static_cast<void>(ring.flush());
  const auto used = driver.poll();
  ASSERT_TRUE(used);
  EXPECT_EQ(used->id, *first);
  EXPECT_EQ(used->length, 100U);
  EXPECT_NE(driver.descriptor(0).flags & PackedDescriptor::kWrite, 0) << "the length counts";
  const auto next = driver.poll();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->id, *second);
  EXPECT_FALSE(driver.poll());
}

TEST_F(PackedRingTest, RewindTakesBackPopsAndCompletions) {
  for (int i = 0; i < 4; ++i)
    driver.add({{buffer(), 64, true}});
  ASSERT_EQ(pop(), PopStatus::chain);
  ring.complete(chain.id, 1);
  const PackedRing::Mark mark = ring.mark();
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(pop(), PopStatus::chain);
    ring.complete(chain.id, 2);
  }
  ring.rewind(mark);
  static_cast<void>(ring.flush());
  ASSERT_TRUE(driver.poll());
  EXPECT_FALSE(driver.poll());
  ASSERT_EQ(pop(), PopStatus::chain);
  EXPECT_EQ(chain.writable_bytes, 64U) << "descriptors were not overwritten";
}

TEST_F(PackedRingTest, RewindsToAMarkBehindWhatWasFlushedSince) {
  // More often than the ring has descriptors: what is lost once a round would fill it.
  for (unsigned round = 0; round < 3U * driver.size(); ++round) {
    driver.add({{buffer(), 64}});
    driver.add({{buffer(), 64}, {buffer(), 64}});
    ASSERT_EQ(pop(), PopStatus::chain) << "round " << round;
    ring.complete(chain.id, 0);
    const PackedRing::Mark mark = ring.mark();
    ASSERT_EQ(pop(), PopStatus::chain) << "round " << round;
    static_cast<void>(ring.flush());
    ring.rewind(mark);
    ASSERT_EQ(pop(), PopStatus::chain) << "round " << round;
    ring.complete(chain.id, 0);
    static_cast<void>(ring.flush());
    ASSERT_TRUE(driver.poll());
    ASSERT_TRUE(driver.poll());
  }
  EXPECT_EQ(ring.error(), RingError::none);
}

TEST_F(PackedRingTest, HandsOutSinglesInBulkAndTakesThemBack) {
  for (unsigned lap = 0; lap < 5; ++lap) {
    std::vector<std::uint64_t> buffers;
    std::vector<std::uint16_t> ids;
    for (unsigned i = 0; i < 7; ++i) {
      buffers.push_back(buffer());
      ids.push_back(*driver.add({{buffers.back(), 60, i % 2 != 0}}));
    }
    std::array<SingleChain, 5> chains;
    PackedRing::Mark mark = ring.mark();
    ASSERT_EQ(ring.pop_singles(chains), 5U);
    ring.put_back(3);
    ring.advance(mark);
    ring.advance(mark);
    EXPECT_EQ(mark.avail_at, ring.mark().avail_at);
    EXPECT_EQ(mark.avail_wrap, ring.mark().avail_wrap);
    EXPECT_EQ(mark.popped, ring.mark().popped);
    ASSERT_EQ(ring.pop_singles(std::span(chains).subspan(2)), 3U);
    for (unsigned i = 0; i < 5; ++i) {
      EXPECT_EQ(chains[i].data, ram.at(buffers[i]));
      EXPECT_EQ(chains[i].length, 60U);
      EXPECT_EQ(chains[i].id, ids[i]);
      EXPECT_EQ(chains[i].writable, i % 2 != 0);
      ring.complete(chains[i].id, 1 + i);
    }
    ASSERT_EQ(ring.pop_singles(chains), 2U) << "no more than there are";
    ring.complete(chains[0].id, 6);
    ring.complete(chains[1].id, 7);
    static_cast<void>(ring.flush());
    for (unsigned i = 0; i < 7; ++i)
      EXPECT_EQ(driver.poll()->length, 1 + i);
  }
}

TEST_F(PackedRingTest, SinglesEndBeforeAChainOfSeveralElements) {
  driver.add({{buffer(), 60}});
  driver.add({{buffer(), 12}, {buffer(), 60}});
  driver.add({{buffer(), 60}});
  std::array<SingleChain, 8> chains;
  EXPECT_EQ(ring.pop_singles(chains), 1U);
  EXPECT_EQ(ring.pop_singles(chains), 0U);
  ASSERT_EQ(pop(), PopStatus::chain);
  EXPECT_EQ(chain.readable, 2U);
  EXPECT_EQ(ring.pop_singles(chains), 1U);
}

TEST_F(PackedRingTest, Input17SinglesNeverExceedTheRing) {
  // All descriptors available in this lap and, once the wrap counter turns, in the next.
  for (std::uint16_t i = 0; i < 8; ++i)
    driver.set_descriptor(i, {GuestRam::kBase + 0x1000, 60, i, available_flags(true)});
  std::array<SingleChain, 64> chains;
  EXPECT_EQ(ring.pop_singles(chains), 8U);
  for (std::uint16_t i = 0; i < 8; ++i)
    driver.set_descriptor(i, {GuestRam::kBase + 0x1000, 60, i, available_flags(false)});
  EXPECT_EQ(ring.pop_singles(chains), 0U);
  EXPECT_EQ(pop(), PopStatus::broken);
  EXPECT_EQ(ring.error(), RingError::index_jump);
}

TEST_F(PackedRingTest, InOrderOneUsedDescriptorStandsForABatchWithoutLengths) {
  RingSetup setup = driver.setup();
  setup.in_order = true;
  ASSERT_EQ(ring.enable(ram.memory(), setup), RingError::none);
  for (unsigned lap = 0; lap < 6; ++lap) {
    std::vector<std::uint16_t> ids;
    for (unsigned i = 0; i < 4; ++i)
      ids.push_back(*driver.add({{buffer(), 60}}));
    ids.push_back(*driver.add({{buffer(), 60, true}}));
    const std::uint16_t at = ring.mark().avail_at;
    for (unsigned i = 0; i < 5; ++i) {
      ASSERT_EQ(pop(), PopStatus::chain);
      ring.complete(chain.id, i == 4 ? 33 : 0);
    }
    static_cast<void>(ring.flush());
    EXPECT_EQ(driver.descriptor(at).id, ids[3]) << "the last of the batch, where the first was";
    EXPECT_EQ(driver.descriptor(static_cast<std::uint16_t>((at + 4) % 8)).length, 33U)
        << "a length is published with its buffer";
    for (unsigned i = 0; i < 5; ++i) {
      const auto used = driver.poll();
      ASSERT_TRUE(used);
      EXPECT_EQ(used->id, ids[i]);
    }
    EXPECT_FALSE(driver.poll());
  }
}

TEST_F(PackedRingTest, RunsThroughManyLapsWithChainsOfAllLengths) {
  std::minstd_rand random(11);
  std::vector<std::pair<std::uint16_t, std::uint32_t>> expected;
  std::size_t returned = 0;
  for (unsigned round = 0; round < 20'000; ++round) {
    std::vector<PackedDriverRing::Buffer> buffers(1 + random() % 5);
    std::uint32_t bytes = 0;
    for (auto& b : buffers) {
      b = {GuestRam::kBase + 0x10000 + random() % 4096, static_cast<std::uint32_t>(1 + random() % 100), true};
      bytes += b.length;
    }
    if (const auto id = driver.add(buffers)) expected.emplace_back(*id, bytes);
    if (random() % 3 != 0) continue;
    const PackedRing::Mark mark = ring.mark();
    const unsigned wanted = random() % 4;
    const bool back = random() % 5 == 0;
    for (unsigned i = 0; i < wanted && pop() == PopStatus::chain; ++i)
      ring.complete(chain.id, static_cast<std::uint32_t>(chain.writable_bytes));
    if (back) ring.rewind(mark);
    static_cast<void>(ring.flush());
    while (const auto used = driver.poll()) {
      ASSERT_LT(returned, expected.size());
      ASSERT_EQ(used->id, expected[returned].first);
      ASSERT_EQ(used->length, expected[returned].second);
      ++returned;
    }
  }
  EXPECT_GT(returned, 5000U);
  EXPECT_EQ(ring.error(), RingError::none);
}

TEST_F(PackedRingTest, InterruptsOnlyWhenTheDriverWantsOne) {
  const auto complete_one = [&] {
    driver.add({{buffer(), 64}});
    EXPECT_EQ(pop(), PopStatus::chain);
    ring.complete(chain.id, 0);
    const bool interrupt = ring.flush();
    EXPECT_TRUE(driver.poll());
    return interrupt;
  };
  EXPECT_TRUE(complete_one()) << "all zero: enabled";
  driver.disable_interrupts();
  EXPECT_FALSE(complete_one());
  driver.enable_interrupts();
  EXPECT_TRUE(complete_one());
  EXPECT_FALSE(ring.flush()) << "nothing staged";
}

TEST_F(PackedRingTest, DriverSeesWhetherNotificationsAreWanted) {
  ring.disable_notifications();
  driver.add({{buffer(), 64}});
  EXPECT_FALSE(driver.wants_kick());
  EXPECT_TRUE(ring.enable_notifications()) << "one waits already";
  ASSERT_EQ(pop(), PopStatus::chain);
  EXPECT_FALSE(ring.enable_notifications());
  driver.add({{buffer(), 64}});
  EXPECT_TRUE(driver.wants_kick());
}

class PackedRingEvents : public PackedRingTest {
 protected:
  PackedRingEvents() : PackedRingTest(true) {}
};

TEST_F(PackedRingEvents, FireOncePerPositionAskedForInEveryLap) {
  for (int lap = 0; lap < 10; ++lap) {
    driver.enable_interrupts();
    for (int i = 0; i < 3; ++i)
      driver.add({{buffer(), 64}});
    std::vector<bool> interrupts;
    for (int i = 0; i < 3; ++i) {
      ASSERT_EQ(pop(), PopStatus::chain);
      ring.complete(chain.id, 0);
      interrupts.push_back(ring.flush());
    }
    EXPECT_EQ(interrupts, (std::vector<bool>{true, false, false})) << lap;
    while (driver.poll()) {
    }
  }
}

TEST_F(PackedRingEvents, KicksComeOncePerPositionAskedForInEveryLap) {
  for (int lap = 0; lap < 10; ++lap) {
    EXPECT_FALSE(ring.enable_notifications());
    static_cast<void>(driver.wants_kick());
    driver.add({{buffer(), 64}});
    EXPECT_TRUE(driver.wants_kick()) << lap;
    driver.add({{buffer(), 64}});
    EXPECT_FALSE(driver.wants_kick()) << lap;
    while (pop() == PopStatus::chain)
      ring.complete(chain.id, 0);
    static_cast<void>(ring.flush());
    while (driver.poll()) {
    }
  }
}

// --- hostile
// -------------------------------------------------------------------------------------------------

TEST_F(PackedRingTest, Input16PlacesThatCannotBeAreRefused) {
  const RingSetup good = driver.setup();
  const auto with = [&](auto change) {
    RingSetup setup = good;
    change(setup);
    return ring.enable(ram.memory(), setup);
  };
  EXPECT_EQ(with([](RingSetup& s) { s.size = 0; }), RingError::bad_size);
  EXPECT_EQ(with([](RingSetup& s) { s.size = 32768; }), RingError::bad_size);
  EXPECT_EQ(with([](RingSetup& s) { s.size = 7; }), RingError::none) << "any size will do";
  EXPECT_EQ(with([](RingSetup& s) { s.descriptors += 8; }), RingError::misaligned_ring);
  EXPECT_EQ(with([](RingSetup& s) { s.driver_area += 2; }), RingError::misaligned_ring);
  EXPECT_EQ(with([](RingSetup& s) { s.device_area += 1; }), RingError::misaligned_ring);
  for (const std::uint64_t address : {std::uint64_t{0}, std::uint64_t{1} << 40, ~std::uint64_t{15}}) {
    EXPECT_EQ(with([=](RingSetup& s) { s.descriptors = address; }), RingError::unmapped_ring);
    EXPECT_EQ(with([=](RingSetup& s) { s.driver_area = address; }), RingError::unmapped_ring);
    EXPECT_EQ(with([=](RingSetup& s) { s.device_area = address; }), RingError::unmapped_ring);
    EXPECT_FALSE(ring.enabled());
  }
}

TEST_F(PackedRingTest, Input17ALapThatIsAvailableTwiceIsRefused) {
  for (int i = 0; i < 8; ++i)
    driver.add({{buffer(), 64}});
  for (int i = 0; i < 8; ++i)
    ASSERT_EQ(pop(), PopStatus::chain);
  // Available in the next lap although none came back.
  driver.set_descriptor(0, {buffer(), 64, 0, available_flags(false)});
  EXPECT_EQ(pop(), PopStatus::broken);
  EXPECT_EQ(ring.error(), RingError::index_jump);
}

TEST_F(PackedRingTest, Input17AChainWithoutAnEndIsRefused) {
  for (std::uint16_t i = 0; i < 8; ++i)
    driver.set_descriptor(
        i, {buffer(), 64, i, static_cast<std::uint16_t>(available_flags(true) | PackedDescriptor::kNext)});
  EXPECT_EQ(pop(), PopStatus::broken);
  EXPECT_EQ(ring.error(), RingError::loop);
  EXPECT_EQ(pop(), PopStatus::broken) << "sticky";
  EXPECT_EQ(ring.available(), 0);
}

TEST_F(PackedRingTest, Input17AnyIdIsHandedBackAsItCame) {
  driver.set_descriptor(0, {buffer(), 64, 0xFFFF, available_flags(true)});
  ASSERT_EQ(pop(), PopStatus::chain);
  EXPECT_EQ(chain.id, 0xFFFF);
  ring.complete(chain.id, 0);
  static_cast<void>(ring.flush());
  EXPECT_EQ(driver.descriptor(0).id, 0xFFFF);
}

TEST_F(PackedRingTest, Input18IndirectTablesThatCannotBeAreRefused) {
  struct Case {
    std::uint64_t address;
    std::uint32_t length;
    std::uint16_t flags;
    RingError error;
  };
  constexpr std::uint16_t kIndirect = PackedDescriptor::kIndirect;
  const std::uint64_t table = buffer(256);
  ram.store(table + 64, PackedDescriptor{table, 16, 0, kIndirect});
  for (const Case& bad : {Case{table, 0, kIndirect, RingError::indirect_length},
                          Case{table, 17, kIndirect, RingError::indirect_length},
                          Case{1ULL << 40, 16, kIndirect, RingError::unmapped_table},
                          Case{table, 16, kIndirect | PackedDescriptor::kNext, RingError::indirect_with_next},
                          Case{table + 64, 16, kIndirect, RingError::indirect_unexpected}}) {
    ASSERT_EQ(ring.enable(ram.memory(), driver.setup()), RingError::none);
    driver.set_descriptor(
        0, {bad.address, bad.length, 0, static_cast<std::uint16_t>(bad.flags | available_flags(true))});
    EXPECT_EQ(pop(), PopStatus::broken);
    EXPECT_EQ(ring.error(), bad.error);
  }
  RingSetup setup = driver.setup();
  setup.indirect = false;
  ASSERT_EQ(ring.enable(ram.memory(), setup), RingError::none);
  driver.set_descriptor(0, {table, 16, 0, static_cast<std::uint16_t>(kIndirect | available_flags(true))});
  EXPECT_EQ(pop(), PopStatus::broken);
  EXPECT_EQ(ring.error(), RingError::indirect_unexpected);
}

TEST_F(PackedRingTest, Input18AHugeTableOfEmptyElementsIsCutShort) {
  const std::uint64_t table = ram.allocate(16 * 4096, 16);
  driver.set_descriptor(0, {table, 16 * 4096, 3,
                            static_cast<std::uint16_t>(PackedDescriptor::kIndirect | available_flags(true))});
  EXPECT_EQ(pop(), PopStatus::overlong);
  EXPECT_EQ(chain.id, 3);
}

TEST_F(PackedRingTest, Input19ElementsThatCannotBeAreRefused) {
  driver.add({{buffer(), 64, true}, {buffer(), 64}});
  EXPECT_EQ(pop(), PopStatus::broken);
  EXPECT_EQ(ring.error(), RingError::wrong_order);
  ASSERT_EQ(ring.enable(ram.memory(), driver.setup()), RingError::none);
  driver.set_descriptor(0, {1ULL << 40, 64, 0, available_flags(true)});
  EXPECT_EQ(pop(), PopStatus::broken);
  EXPECT_EQ(ring.error(), RingError::unmapped_buffer);
}

TEST_F(PackedRingTest, WritableElementsOfATableAreReadWhereTheDeviceOnlyReads) {
  const std::uint64_t table = ram.allocate(2 * sizeof(PackedDescriptor), 16);
  ram.store(table, PackedDescriptor{buffer(), 12, 0, PackedDescriptor::kWrite});
  ram.store(table + sizeof(PackedDescriptor), PackedDescriptor{buffer(), 64, 0, 0});
  const PackedDescriptor chain_of_table{
      table, 2 * sizeof(PackedDescriptor), 5,
      static_cast<std::uint16_t>(PackedDescriptor::kIndirect | available_flags(true))};
  driver.set_descriptor(0, chain_of_table);
  EXPECT_EQ(pop(), PopStatus::broken);
  EXPECT_EQ(ring.error(), RingError::wrong_order);

  RingSetup setup = driver.setup();
  setup.only_read = true;
  ASSERT_EQ(ring.enable(ram.memory(), setup), RingError::none);
  driver.set_descriptor(0, chain_of_table);
  ASSERT_EQ(pop(), PopStatus::chain);
  EXPECT_EQ(chain.id, 5);
  EXPECT_EQ(chain.readable, 2U);
  EXPECT_EQ(chain.writable, 0U);
  EXPECT_EQ(chain.readable_bytes, 76U);
}

TEST_F(PackedRingTest, Input25DescriptorChangedAfterItWasPoppedHasNoEffect) {
  const std::uint64_t a = buffer();
  driver.add({{a, 64}});
  ASSERT_EQ(pop(), PopStatus::chain);
  driver.set_descriptor(0, {1ULL << 40, 0xFFFF'FFFF, 77, available_flags(true)});
  EXPECT_EQ(list[0].data, ram.at(a));
  EXPECT_EQ(list[0].length, 64U);
  ring.complete(chain.id, 0);
  static_cast<void>(ring.flush());
  EXPECT_NE(driver.descriptor(0).id, 77);
}

TEST_F(PackedRingTest, ResetForgetsPositionsAndErrors) {
  driver.set_descriptor(0, {1ULL << 40, 64, 0, available_flags(true)});
  EXPECT_EQ(pop(), PopStatus::broken);
  ring.disable();
  EXPECT_EQ(ring.error(), RingError::none);
  EXPECT_FALSE(ring.enabled());
  EXPECT_EQ(pop(), PopStatus::empty);
  EXPECT_FALSE(ring.enable_notifications());
  PackedDriverRing fresh(ram, 4);
  ASSERT_EQ(ring.enable(ram.memory(), fresh.setup()), RingError::none);
  fresh.add({{buffer(), 64}});
  EXPECT_EQ(pop(), PopStatus::chain);
}

}  // namespace
}  // namespace patchbay::devices::virtio
