#include "appliances/router/core/checksum.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/router/frames.h"

namespace patchbay::router {
namespace {

std::span<const std::byte> as_bytes(const test::Bytes& bytes) {
  return std::as_bytes(std::span(bytes));
}

TEST(Checksum, Rfc1071Example) {
  // RFC 1071, 3: the sum of these bytes is 0xddf2.
  const test::Bytes bytes{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(ones_complement_sum(as_bytes(bytes)), 0xddf2);
  EXPECT_EQ(internet_checksum(as_bytes(bytes)), 0x220d);
}

TEST(Checksum, EveryLengthAgreesWithTheReference) {
  std::mt19937 random(1);
  for (std::size_t length = 0; length < 200; ++length) {
    test::Bytes bytes(length);
    for (auto& byte : bytes)
      byte = static_cast<std::uint8_t>(random());
    EXPECT_EQ(internet_checksum(as_bytes(bytes)), test::reference_checksum(bytes, 0, length)) << length;
  }
}

TEST(Checksum, LargeSumsFoldCompletely) {
  const test::Bytes bytes(65535, 0xFF);
  EXPECT_EQ(internet_checksum(as_bytes(bytes)), test::reference_checksum(bytes, 0, bytes.size()));
}

TEST(Checksum, Rfc1624Example) {
  // RFC 1624, 4: eqn 2 gives 0xFFFF here, the right answer is 0x0000.
  EXPECT_EQ(update_checksum(0xdd2f, 0x5555, 0x3285), 0x0000);
}

// A header of two words: one that changes, and one that makes the sum take every value. The update must give
// what computing anew gives, for all edges of the three terms of equation 3.
TEST(Checksum, UpdateAgreesWithRecomputationForAllEdges) {
  const std::array<std::uint16_t, 10> edges{0x0000, 0x0001, 0x00FF, 0x0100, 0x7FFF,
                                            0x8000, 0xFEFF, 0xFF00, 0xFFFE, 0xFFFF};
  const auto checksum_of = [](std::uint32_t a, std::uint32_t b) {
    std::uint32_t sum = a + b;
    sum = (sum & 0xFFFF) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
  };
  for (std::uint32_t other = 0; other <= 0xFFFF; ++other) {
    for (const auto before : edges) {
      for (const auto after : edges) {
        // A message of nothing but zeros is the one case where the sum has two representations of zero
        // (RFC 1624, 3); no IPv4 header is that.
        if (other == 0 && after == 0) continue;
        const std::uint16_t old_sum = checksum_of(other, before);
        ASSERT_EQ(update_checksum(old_sum, before, after), checksum_of(other, after))
            << std::hex << other << ' ' << before << ' ' << after;
      }
    }
  }
}

TEST(Checksum, TtlDecrementForEveryTtlAndChecksum) {
  // Every TTL with every value of the rest of the header: 255 x 65536 headers.
  for (std::uint32_t ttl = 1; ttl <= 255; ++ttl) {
    const std::uint32_t before = ttl << 8 | 17;
    for (std::uint32_t rest = 1; rest <= 0xFFFF; ++rest) {
      std::uint32_t sum = rest + before;
      sum = (sum & 0xFFFF) + (sum >> 16);
      std::uint32_t expected = rest + before - 0x100;
      expected = (expected & 0xFFFF) + (expected >> 16);
      const auto updated =
          update_checksum(static_cast<std::uint16_t>(~sum), static_cast<std::uint16_t>(before),
                          static_cast<std::uint16_t>(before - 0x100));
      if (updated != static_cast<std::uint16_t>(~expected)) {
        FAIL() << "ttl " << ttl << " rest " << rest << ": " << updated;
      }
    }
  }
}

}  // namespace
}  // namespace patchbay::router
