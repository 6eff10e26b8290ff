// Split rings that no correct driver builds. Each is refused or ends in a sticky error; none is followed.
#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "devices/virtio/split_ring.h"
#include "tests/unit/devices/driver_ring.h"

namespace patchbay::devices::virtio {
namespace {

using testing::DriverRing;
using testing::GuestRam;

// --- where the ring lies
// -------------------------------------------------------------------------------------

struct Placement {
  const char* name;
  RingSetup setup;
  RingError error;
};

class RingPlacement : public ::testing::TestWithParam<Placement> {};

constexpr std::uint64_t kBase = GuestRam::kBase;
constexpr std::uint64_t kEnd = kBase + (1 << 20);

INSTANTIATE_TEST_SUITE_P(
    Refused, RingPlacement,
    ::testing::Values(
        Placement{"SizeZero", {0, kBase, kBase + 0x1000, kBase + 0x2000}, RingError::bad_size},
        Placement{"SizeNoPowerOfTwo", {24, kBase, kBase + 0x1000, kBase + 0x2000}, RingError::bad_size},
        Placement{"SizeAbove32768", {32769, kBase, kBase, kBase}, RingError::bad_size},
        Placement{"DescriptorsMisaligned",
                  {8, kBase + 8, kBase + 0x1000, kBase + 0x2000},
                  RingError::misaligned_ring},
        Placement{
            "AvailableMisaligned", {8, kBase, kBase + 0x1001, kBase + 0x2000}, RingError::misaligned_ring},
        Placement{"UsedMisaligned", {8, kBase, kBase + 0x1000, kBase + 0x2002}, RingError::misaligned_ring},
        Placement{"DescriptorsPastTheEnd",
                  {8, kEnd - 112, kBase + 0x1000, kBase + 0x2000},
                  RingError::unmapped_ring},
        Placement{
            "AvailableEventPastTheEnd", {8, kBase, kEnd - 20, kBase + 0x2000}, RingError::unmapped_ring},
        Placement{"UsedEventPastTheEnd", {8, kBase, kBase + 0x1000, kEnd - 68}, RingError::unmapped_ring},
        Placement{"BelowMemory", {8, 0, kBase + 0x1000, kBase + 0x2000}, RingError::unmapped_ring},
        Placement{"AddressWraps", {8, ~0ULL - 15, kBase + 0x1000, kBase + 0x2000}, RingError::unmapped_ring},
        Placement{"LargestSizeTooBig", {32768, kBase, kBase, kEnd - 0x10000}, RingError::unmapped_ring}),
    [](const auto& suite) { return suite.param.name; });

TEST_P(RingPlacement, Input16IsRefused) {
  GuestRam ram;
  SplitRing ring;
  EXPECT_EQ(ring.enable(ram.memory(), GetParam().setup), GetParam().error);
  EXPECT_FALSE(ring.enabled());
  EXPECT_EQ(ring.error(), GetParam().error);
  EXPECT_EQ(ring.available(), 0);
  EXPECT_FALSE(ring.flush());
  EXPECT_FALSE(ring.enable_notifications());
}

TEST(RingOverAHole, Input16IsRefused) {
  GuestRam low;
  GuestRam high;
  // Two regions with a gap of one page: the MMIO hole of a machine.
  const std::uint64_t gap = kBase + low.bytes().size();
  const GuestMemory memory({{kBase, low.bytes()}, {gap + 0x1000, high.bytes()}});
  SplitRing ring;
  EXPECT_EQ(ring.enable(memory, {8, kBase, kBase + 0x1000, kBase + 0x2000}), RingError::none);
  EXPECT_EQ(ring.enable(memory, {8, gap - 64, kBase + 0x1000, kBase + 0x2000}), RingError::unmapped_ring);
  EXPECT_EQ(ring.enable(memory, {8, gap, kBase + 0x1000, kBase + 0x2000}), RingError::unmapped_ring);
  EXPECT_EQ(ring.enable(memory, {8, gap + 0x1000, kBase + 0x1000, kBase + 0x2000}), RingError::none);
}

TEST(RingAtTheVeryEnd, IsAccepted) {
  GuestRam ram;
  SplitRing ring;
  EXPECT_EQ(ring.enable(ram.memory(), {8, kEnd - 128, kBase, kBase + 0x1000}), RingError::none);
  EXPECT_EQ(ring.enable(ram.memory(), {8, kBase, kEnd - 22, kBase + 0x1000}), RingError::none);
  EXPECT_EQ(ring.enable(ram.memory(), {8, kBase, kBase + 0x1000, kEnd - 72}), RingError::none);
}

// --- what the ring says
// --------------------------------------------------------------------------------------

class HostileRing : public ::testing::Test {
 protected:
  HostileRing() { EXPECT_EQ(ring.enable(ram.memory(), driver.setup()), RingError::none); }

  /// The ring stops with `error` and stays so.
  void expect_broken(RingError error) {
    EXPECT_EQ(ring.pop(list, chain), PopStatus::broken);
    EXPECT_EQ(ring.error(), error);
    EXPECT_EQ(ring.pop(list, chain), PopStatus::broken) << "the error is sticky";
    EXPECT_EQ(ring.available(), 0);
    EXPECT_FALSE(ring.flush());
    EXPECT_EQ(driver.used_index(), 0) << "nothing was handed back";
  }
  /// Descriptor 0 refers to `table`, one descriptor a row.
  void offer_indirect(const std::vector<SplitDescriptor>& rows, std::optional<std::uint32_t> length = {}) {
    const std::uint64_t table = ram.allocate(16 * rows.size(), 16);
    for (std::size_t i = 0; i < rows.size(); ++i)
      ram.store(table + 16 * i, rows[i]);
    driver.set_descriptor(0, {table, length.value_or(static_cast<std::uint32_t>(16 * rows.size())),
                              SplitDescriptor::kIndirect, 0});
    driver.offer(0);
  }

  static constexpr std::uint16_t kNext = SplitDescriptor::kNext;
  static constexpr std::uint16_t kWrite = SplitDescriptor::kWrite;
  static constexpr std::uint16_t kIndirect = SplitDescriptor::kIndirect;

  GuestRam ram;
  DriverRing driver{ram, 8};
  SplitRing ring;
  SegmentList list;
  Chain chain;
  const std::uint64_t buffer = ram.allocate(4096);
};

TEST_F(HostileRing, Input17AvailableIndexJumpsByMoreThanTheSize) {
  driver.set_avail_index(9);
  expect_broken(RingError::index_jump);
}

TEST_F(HostileRing, Input17AvailableIndexRunsBackwards) {
  driver.set_avail_index(0xFFFF);
  expect_broken(RingError::index_jump);
}

TEST_F(HostileRing, IndexJumpIsSeenWhenNotificationsAreEnabled) {
  driver.set_avail_index(1000);
  EXPECT_FALSE(ring.enable_notifications());
  EXPECT_EQ(ring.error(), RingError::index_jump);
}

TEST_F(HostileRing, Input17HeadNotBelowTheSize) {
  driver.offer(8);
  expect_broken(RingError::bad_head);
}

TEST_F(HostileRing, Input17NextNotBelowTheSize) {
  driver.set_descriptor(0, {buffer, 16, kNext, 8});
  driver.offer(0);
  expect_broken(RingError::bad_next);
}

TEST_F(HostileRing, Input17ChainOfOneThatRefersToItself) {
  driver.set_descriptor(3, {buffer, 16, kNext, 3});
  driver.offer(3);
  expect_broken(RingError::loop);
}

TEST_F(HostileRing, Input17ChainThatLoopsBack) {
  for (std::uint16_t i = 0; i < 8; ++i)
    driver.set_descriptor(i, {buffer, 16, kNext, static_cast<std::uint16_t>((i + 1) % 8)});
  driver.offer(5);
  expect_broken(RingError::loop);
}

TEST_F(HostileRing, Input19LoopOfEmptyElements) {
  driver.set_descriptor(0, {0, 0, kNext, 1});
  driver.set_descriptor(1, {0, 0, kNext, 0});
  driver.offer(0);
  expect_broken(RingError::loop);
}

TEST_F(HostileRing, ChainAsLongAsTheRingIsAccepted) {
  for (std::uint16_t i = 0; i < 8; ++i)
    driver.set_descriptor(i,
                          {buffer, 16, i < 7 ? kNext : std::uint16_t{0}, static_cast<std::uint16_t>(i + 1)});
  driver.offer(0);
  ASSERT_EQ(ring.pop(list, chain), PopStatus::chain);
  EXPECT_EQ(chain.readable, 8);
}

TEST_F(HostileRing, Input19ReadableElementBehindAWritableOne) {
  driver.set_descriptor(0, {buffer, 16, kNext | kWrite, 1});
  driver.set_descriptor(1, {buffer, 16, 0, 0});
  driver.offer(0);
  expect_broken(RingError::wrong_order);
}

struct BadBuffer {
  std::uint64_t address;
  std::uint32_t length;
};

TEST_F(HostileRing, BufferOutsideMemory) {
  const BadBuffer buffers[] = {{0, 1},         {kBase - 1, 1},       {kBase - 1, 2}, {kEnd - 1, 2},
                               {kEnd, 1},      {kBase, 0xFFFF'FFFF}, {~0ULL, 1},     {~0ULL, 0xFFFF'FFFF},
                               {~0ULL - 7, 16}};
  for (const BadBuffer& bad : buffers) {
    DriverRing fresh(ram, 8);
    ASSERT_EQ(ring.enable(ram.memory(), fresh.setup()), RingError::none);
    fresh.set_descriptor(0, {bad.address, bad.length, 0, 0});
    fresh.offer(0);
    EXPECT_EQ(ring.pop(list, chain), PopStatus::broken);
    EXPECT_EQ(ring.error(), RingError::unmapped_buffer) << std::hex << bad.address << '+' << bad.length;
  }
}

TEST_F(HostileRing, SecondBufferOutsideMemory) {
  driver.set_descriptor(0, {buffer, 16, kNext, 1});
  driver.set_descriptor(1, {kEnd, 16, 0, 0});
  driver.offer(0);
  expect_broken(RingError::unmapped_buffer);
}

TEST_F(HostileRing, Input18IndirectTableInAnIndirectTable) {
  offer_indirect({{buffer, 16, kIndirect, 0}});
  expect_broken(RingError::indirect_unexpected);
}

TEST_F(HostileRing, Input18IndirectWithNext) {
  driver.set_descriptor(0, {buffer, 16, kIndirect | kNext, 1});
  driver.offer(0);
  expect_broken(RingError::indirect_with_next);
}

TEST_F(HostileRing, Input18IndirectTableOfLengthZero) {
  offer_indirect({{buffer, 16, 0, 0}}, 0);
  expect_broken(RingError::indirect_length);
}

TEST_F(HostileRing, Input18IndirectTableOfNoWholeNumberOfDescriptors) {
  offer_indirect({{buffer, 16, 0, 0}, {}}, 24);
  expect_broken(RingError::indirect_length);
}

TEST_F(HostileRing, Input18IndirectTableOutsideMemory) {
  driver.set_descriptor(0, {kEnd - 16, 32, kIndirect, 0});
  driver.offer(0);
  expect_broken(RingError::unmapped_table);
}

TEST_F(HostileRing, IndirectTableOfFourGibibytes) {
  driver.set_descriptor(0, {kBase, 0xFFFF'FFF0, kIndirect, 0});
  driver.offer(0);
  expect_broken(RingError::unmapped_table);
}

TEST_F(HostileRing, NextPastTheIndirectTable) {
  offer_indirect({{buffer, 16, kNext, 2}, {buffer, 16, 0, 0}});
  expect_broken(RingError::bad_next);
}

TEST_F(HostileRing, LoopInAnIndirectTable) {
  offer_indirect({{buffer, 16, kNext, 1}, {buffer, 16, kNext, 0}});
  expect_broken(RingError::loop);
}

TEST_F(HostileRing, Input18IndirectWithoutTheFeature) {
  RingSetup setup = driver.setup();
  setup.indirect = false;
  ASSERT_EQ(ring.enable(ram.memory(), setup), RingError::none);
  offer_indirect({{buffer, 16, 0, 0}});
  expect_broken(RingError::indirect_unexpected);
}

TEST_F(HostileRing, Input17OverlongChainIsHandedBackAndTheRingGoesOn) {
  // A table with more elements than any frame can have pieces: legal as a ring, useless as a frame.
  std::vector<SplitDescriptor> rows;
  for (std::uint16_t i = 0; i < 1000; ++i)
    rows.push_back({buffer, 4, i < 999 ? kNext : std::uint16_t{0}, static_cast<std::uint16_t>(i + 1)});
  offer_indirect(rows);
  driver.set_descriptor(1, {buffer, 16, 0, 0});
  driver.offer(1);
  EXPECT_EQ(ring.pop(list, chain), PopStatus::overlong);
  EXPECT_EQ(chain.id, 0);
  EXPECT_LE(list.size(), SegmentList::kCapacity);
  list.clear();
  EXPECT_EQ(ring.pop(list, chain), PopStatus::chain);
  EXPECT_EQ(chain.id, 1);
}

TEST_F(HostileRing, Input25DescriptorChangedAfterItWasPoppedHasNoEffect) {
  driver.set_descriptor(0, {buffer, 16, 0, 0});
  driver.offer(0);
  ASSERT_EQ(ring.pop(list, chain), PopStatus::chain);
  driver.set_descriptor(0, {kEnd, 0xFFFF'FFFF, kNext, 0xFFFF});
  EXPECT_EQ(list[0].data, ram.at(buffer));
  EXPECT_EQ(list[0].length, 16U);
  EXPECT_EQ(chain.readable_bytes, 16U);
}

TEST_F(HostileRing, TheSameHeadTwiceIsHandedBackTwice) {
  driver.set_descriptor(0, {buffer, 16, 0, 0});
  driver.offer(0);
  driver.offer(0);
  ASSERT_EQ(ring.pop(list, chain), PopStatus::chain);
  ring.complete(chain.id, 0);
  ASSERT_EQ(ring.pop(list, chain), PopStatus::chain);
  ring.complete(chain.id, 0);
  static_cast<void>(ring.flush());
  EXPECT_EQ(driver.used_index(), 2);
}

TEST_F(HostileRing, RingsAndBuffersThatOverlapDoNoHarm) {
  // Descriptor table, both rings and the buffer at one address.
  ASSERT_EQ(ring.enable(ram.memory(), {8, kBase, kBase, kBase}), RingError::none);
  ram.store(kBase, SplitDescriptor{kBase, 64, kWrite, 0});
  for (unsigned i = 0; i < 100; ++i) {
    list.clear();
    if (ring.pop(list, chain) != PopStatus::chain) break;
    ring.complete(chain.id, 64);
    static_cast<void>(ring.flush());
  }
  SUCCEED() << "reached without a fault";
}

}  // namespace
}  // namespace patchbay::devices::virtio
