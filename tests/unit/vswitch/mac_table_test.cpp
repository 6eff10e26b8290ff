#include "vswitch/mac_table.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

namespace patchbay::vswitch {
namespace {

constexpr MacKey kA = 0x0100'0000'0002;  // 02:00:00:00:00:01
constexpr MacKey kB = 0x0200'0000'0002;

TEST(MacKeyTest, ReadsTheFirstByteOfTheWireAsTheLowest) {
  constexpr std::array<std::byte, 8> bytes{std::byte{1}, std::byte{2}, std::byte{3},    std::byte{4},
                                           std::byte{5}, std::byte{6}, std::byte{0xff}, std::byte{0xff}};
  EXPECT_EQ(load_mac(bytes.data()), 0x0605'0403'0201u);
  EXPECT_TRUE(is_group(load_mac(bytes.data())));
  EXPECT_FALSE(is_group(kA));
}

TEST(MacTableTest, FindsWhatItLearned) {
  MacTable table;
  EXPECT_EQ(table.find(kA, 10), MacTable::kUnknown);
  EXPECT_EQ(table.learn(kA, 3, 10), MacTable::Learned::added);
  EXPECT_EQ(table.learn(kA, 3, 11), MacTable::Learned::known);
  EXPECT_EQ(table.find(kA, 11), 3);
  EXPECT_EQ(table.find(kB, 11), MacTable::kUnknown);
}

TEST(MacTableTest, FollowsAnAddressToItsNewPort) {
  MacTable table;
  table.learn(kA, 3, 10);
  EXPECT_EQ(table.learn(kA, 4, 10), MacTable::Learned::moved);
  EXPECT_EQ(table.find(kA, 10), 4);
  EXPECT_EQ(table.entries(10).size(), 1u);
}

TEST(MacTableTest, AgesFromTheLastFrameNotTheFirst) {
  MacTable table(MacTable::kDefaultCapacity, 300);
  table.learn(kA, 1, 1000);
  EXPECT_EQ(table.find(kA, 1300), 1);
  EXPECT_EQ(table.find(kA, 1301), MacTable::kUnknown);
  table.learn(kB, 1, 1000);
  table.learn(kB, 1, 1200);
  EXPECT_EQ(table.find(kB, 1500), 1);
  EXPECT_EQ(table.find(kB, 1501), MacTable::kUnknown);
  EXPECT_EQ(table.learn(kA, 1, 1400), MacTable::Learned::added) << "an entry that is too old is gone";
}

TEST(MacTableTest, AgesAcrossTheWrapOfTheClock) {
  MacTable table(MacTable::kDefaultCapacity, 300);
  table.learn(kA, 1, 0xffff'ff00);
  EXPECT_EQ(table.find(kA, 20), 1);
  EXPECT_EQ(table.find(kA, 100), MacTable::kUnknown);
}

TEST(MacTableTest, ForgetsOnlyThePortThatIsGone) {
  MacTable table;
  table.learn(kA, 0, 10);
  table.learn(kB, 1, 10);
  table.forget(0);
  EXPECT_EQ(table.find(kA, 10), MacTable::kUnknown);
  EXPECT_EQ(table.find(kB, 10), 1);
}

TEST(MacTableTest, ListsLiveEntriesWithTheirAge) {
  MacTable table(MacTable::kDefaultCapacity, 300);
  table.learn(kA, 7, 100);
  table.learn(kB, 8, 350);
  EXPECT_EQ(table.entries(360).size(), 2u);
  const auto entries = table.entries(500);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].mac, kB);
  EXPECT_EQ(entries[0].port, 8);
  EXPECT_EQ(entries[0].age, 150u);
}

TEST(MacTableTest, HoldsItsCapacityOfConsecutiveAddresses) {
  MacTable table(4096, 300, 0x1234'5678'9abc'def1);
  for (MacKey i = 0; i < 4096; ++i)
    ASSERT_EQ(table.learn(kA + (i << 8), static_cast<std::uint16_t>(i % 100), 1), MacTable::Learned::added)
        << i;
  for (MacKey i = 0; i < 4096; ++i)
    ASSERT_EQ(table.find(kA + (i << 8), 1), i % 100) << i;
}

TEST(MacTableTest, RefusesWhenFullAndTakesAgainWhenEntriesAreTooOld) {
  MacTable table(1, 300);  // two buckets of five at most
  std::size_t added = 0;
  for (MacKey i = 0; i < 100; ++i)
    added += table.learn(kA + (i << 8), 1, 1) == MacTable::Learned::added ? 1u : 0u;
  EXPECT_GE(added, 1u);
  EXPECT_LE(added, 10u);
  EXPECT_EQ(table.learn(kB + 0x10'0000, 1, 1), MacTable::Learned::full);
  EXPECT_EQ(table.find(kB + 0x10'0000, 1), MacTable::kUnknown);
  EXPECT_EQ(table.learn(kA, 1, 1), MacTable::Learned::known) << "entries that are there keep working";
  EXPECT_EQ(table.learn(kB + 0x10'0000, 1, 302), MacTable::Learned::added);
}

TEST(MacTableTest, SeveralThreadsLearnAndFindAtOnce) {
  constexpr MacKey kAddresses = 200;
  MacTable table(512, 300);
  std::vector<std::thread> threads;
  std::atomic<unsigned> wrong{0};
  std::atomic<unsigned> added{0};
  for (std::uint16_t worker = 0; worker < 3; ++worker) {
    threads.emplace_back([&, worker] {
      for (std::uint32_t now = 1; now < 200; ++now) {
        for (MacKey i = 0; i < kAddresses; ++i) {
          // The last address roams between the ports, every other one stays.
          const bool roams = i + 1 == kAddresses;
          const auto port = static_cast<std::uint16_t>(roams ? worker : i % 7);
          const MacKey mac = kA + (i << 24);
          if (table.learn(mac, port, now) == MacTable::Learned::added) ++added;
          const std::uint16_t found = table.find(mac, now);
          if (roams ? found > 2 : found != port) ++wrong;
        }
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0U);
  EXPECT_EQ(added, kAddresses) << "each is added once, by whoever came first";
  EXPECT_EQ(table.entries(199).size(), kAddresses);
}

}  // namespace
}  // namespace patchbay::vswitch
