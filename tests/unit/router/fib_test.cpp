#include "appliances/router/core/fib.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

#include "tests/unit/router/frames.h"

namespace patchbay::router {
namespace {

Ipv4Prefix prefix(const std::string& address, unsigned length) {
  return {{test::ip(address)}, static_cast<std::uint8_t>(length)};
}
Ipv4Address address(const std::string& text) {
  return {test::ip(text)};
}

/// The Mersenne Twister with a result of 32 bits for sure.
class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_(seed) {}
  std::uint32_t operator()() { return static_cast<std::uint32_t>(engine_()); }

 private:
  std::mt19937 engine_;
};

/// Longest prefix match by trying all lengths.
class Oracle {
 public:
  void insert(Ipv4Prefix p, Fib::Value value) { table_[{p.length, p.network().address.value}] = value; }
  bool remove(Ipv4Prefix p) { return table_.erase({p.length, p.network().address.value}) != 0; }
  [[nodiscard]] Fib::Value lookup(Ipv4Address a) const {
    for (int length = 32; length >= 0; --length) {
      const auto found = table_.find({length, a.value & prefix_mask(static_cast<unsigned>(length))});
      if (found != table_.end()) return found->second;
    }
    return Fib::kNoMatch;
  }
  [[nodiscard]] std::size_t size() const { return table_.size(); }
  [[nodiscard]] const auto& table() const { return table_; }

 private:
  std::map<std::pair<int, std::uint32_t>, Fib::Value> table_;
};

class FibTest : public testing::Test {
 protected:
  std::vector<std::uint64_t> memory_ = std::vector<std::uint64_t>(1 << 17);
  Fib fib_{memory_};
};

TEST_F(FibTest, EmptyMatchesNothing) {
  EXPECT_EQ(fib_.lookup(address("10.0.0.1")), Fib::kNoMatch);
  EXPECT_EQ(fib_.size(), 0U);
  EXPECT_EQ(fib_.memory_used(), 0U);
  EXPECT_FALSE(fib_.remove(prefix("10.0.0.0", 8)));
  EXPECT_FALSE(fib_.remove(prefix("0.0.0.0", 0)));
  EXPECT_FALSE(fib_.remove(prefix("10.0.0.1", 32)));
}

TEST_F(FibTest, DefaultRouteMatchesEverything) {
  ASSERT_TRUE(fib_.insert(prefix("0.0.0.0", 0), 7));
  EXPECT_EQ(fib_.lookup(address("0.0.0.0")), 7U);
  EXPECT_EQ(fib_.lookup(address("255.255.255.255")), 7U);
  EXPECT_EQ(fib_.memory_used(), 0U);
  EXPECT_TRUE(fib_.remove(prefix("0.0.0.0", 0)));
  EXPECT_EQ(fib_.lookup(address("10.0.0.1")), Fib::kNoMatch);
}

TEST_F(FibTest, NestedPrefixesOfEveryLength) {
  // One address, a prefix of each length: the longest that matches wins, and going back uncovers the shorter.
  const std::uint32_t base = test::ip("201.77.179.90");
  for (unsigned length = 0; length <= 32; ++length) {
    ASSERT_TRUE(fib_.insert({{base}, static_cast<std::uint8_t>(length)}, length));
  }
  EXPECT_EQ(fib_.size(), 33U);
  EXPECT_EQ(fib_.lookup({base}), 32U);
  for (unsigned length = 1; length <= 32; ++length) {
    // Differs from the base first at bit `length`: matches up to length - 1.
    EXPECT_EQ(fib_.lookup({base ^ (1U << (32 - length))}), length - 1);
  }
  for (unsigned length = 32; length > 0; --length) {
    ASSERT_TRUE(fib_.remove({{base}, static_cast<std::uint8_t>(length)}));
    EXPECT_EQ(fib_.lookup({base}), length - 1);
  }
}

TEST_F(FibTest, ReplaceKeepsSizeAndHostBitsAreIgnored) {
  ASSERT_TRUE(fib_.insert(prefix("10.1.2.3", 16), 1));
  ASSERT_TRUE(fib_.insert(prefix("10.1.0.0", 16), 2));
  EXPECT_EQ(fib_.size(), 1U);
  EXPECT_EQ(fib_.lookup(address("10.1.255.1")), 2U);
  EXPECT_EQ(fib_.find(prefix("10.1.9.9", 16)), 2U);
  EXPECT_EQ(fib_.find(prefix("10.1.0.0", 17)), std::nullopt);
}

TEST_F(FibTest, RandomOperationsAgreeWithOracle) {
  for (const unsigned seed : {1U, 2U, 3U}) {
    fib_.clear();
    Oracle oracle;
    Random random(seed);
    // A small universe, so that prefixes nest, repeat and are removed again.
    const auto random_address = [&] {
      std::uint32_t value = 0;
      for (int i = 0; i < 4; ++i)
        value = value << 8 | (random() % 3 == 0 ? random() % 256 : random() % 4);
      return Ipv4Address{value};
    };
    for (int step = 0; step < 30000; ++step) {
      const Ipv4Prefix p{random_address(), static_cast<std::uint8_t>(random() % 33)};
      if (random() % 100 < (step < 15000 ? 70U : 30U)) {
        const Fib::Value value = random() % 1000;
        ASSERT_TRUE(fib_.insert(p, value));
        oracle.insert(p, value);
      } else {
        ASSERT_EQ(fib_.remove(p), oracle.remove(p));
      }
      ASSERT_EQ(fib_.size(), oracle.size());
      const Ipv4Address probe = random_address();
      ASSERT_EQ(fib_.lookup(probe), oracle.lookup(probe));
      ASSERT_EQ(fib_.lookup(p.address), oracle.lookup(p.address));
    }
    // The bulk look-up says the same, for every burst size.
    for (std::size_t count = 0; count <= 64; ++count) {
      std::vector<Ipv4Address> addresses(count);
      for (auto& a : addresses)
        a = random_address();
      std::vector<Fib::Value> values(count);
      fib_.lookup(addresses, values);
      for (std::size_t i = 0; i < count; ++i)
        ASSERT_EQ(values[i], oracle.lookup(addresses[i]));
    }
    // Taking everything out gives all memory back.
    const auto table = oracle.table();
    for (const auto& [key, value] : table) {
      ASSERT_TRUE(fib_.remove({{key.second}, static_cast<std::uint8_t>(key.first)}));
    }
    EXPECT_EQ(fib_.size(), 0U);
    EXPECT_EQ(fib_.memory_used(), 0U);
  }
}

TEST(FibMemory, RunningOutChangesNothing) {
  std::vector<std::uint64_t> memory(400);
  Fib fib(memory);
  Oracle oracle;
  Random random(4);
  int refused = 0;
  for (int step = 0; step < 5000; ++step) {
    const Ipv4Prefix p{{random()}, static_cast<std::uint8_t>(8 + random() % 25)};
    if (random() % 3 != 0) {
      if (fib.insert(p, static_cast<Fib::Value>(step))) {
        oracle.insert(p, static_cast<Fib::Value>(step));
      } else {
        ++refused;
      }
    } else if (oracle.size() != 0) {
      auto it = oracle.table().begin();
      std::advance(it, random() % oracle.size());
      const Ipv4Prefix victim{{it->first.second}, static_cast<std::uint8_t>(it->first.first)};
      ASSERT_TRUE(fib.remove(victim));
      ASSERT_TRUE(oracle.remove(victim));
    }
    ASSERT_EQ(fib.size(), oracle.size());
    ASSERT_LE(fib.memory_used(), memory.size() * 8);
  }
  EXPECT_GT(refused, 100);
  for (const auto& [key, value] : oracle.table())
    ASSERT_EQ(fib.lookup({key.second}), oracle.lookup({key.second}));
}

TEST(FibMemory, FewRoutesNeedLittle) {
  std::vector<std::uint64_t> memory(1 << 12);
  Fib fib(memory);
  for (unsigned i = 0; i < 60; ++i) {
    ASSERT_TRUE(fib.insert({{test::ip("10.0.0.0") + (i << 8)}, 24}, i));
    ASSERT_TRUE(fib.insert({{test::ip("10.0.0.1") + (i << 8)}, 32}, i));
  }
  EXPECT_LT(fib.memory_used(), 16384U);
  EXPECT_LT(sizeof(Fib), 8400U);
}

}  // namespace
}  // namespace patchbay::router
