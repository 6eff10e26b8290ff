#include "vswitch/offload/internet_checksum.h"

#include <gtest/gtest.h>

#include "tests/unit/vswitch/offload/packets.h"

namespace patchbay::vswitch::offload {
namespace {

using test::Bytes;

Bytes random_bytes(std::size_t size, unsigned seed) {
  std::minstd_rand random(seed);
  Bytes bytes(size);
  for (std::byte& byte : bytes)
    byte = static_cast<std::byte>(random() >> 7);
  return bytes;
}

std::uint16_t swapped(std::uint32_t value) {
  return static_cast<std::uint16_t>((value << 8 | value >> 8) & 0xFFFF);
}

TEST(InternetChecksum, EqualsTheExampleOfRfc1071) {
  const Bytes bytes{std::byte{0x00}, std::byte{0x01}, std::byte{0xf2}, std::byte{0x03},
                    std::byte{0xf4}, std::byte{0xf5}, std::byte{0xf6}, std::byte{0xf7}};
  EXPECT_EQ(sum_words(bytes), swapped(0xddf2));
}

TEST(InternetChecksum, SumsEveryLengthAndAlignment) {
  const Bytes bytes = random_bytes(400, 7);
  for (std::size_t from = 0; from < 33; ++from) {
    for (std::size_t size = 0; size + from <= bytes.size(); ++size) {
      ASSERT_EQ(sum_words(std::span(bytes).subspan(from, size)), swapped(test::plain_sum(bytes, from, size)))
          << size << " bytes from " << from;
    }
  }
}

TEST(InternetChecksum, CarriesThroughLongRunsOfOnes) {
  const Bytes ones(65536, std::byte{0xFF});
  EXPECT_EQ(sum_words(ones), 0xFFFF);
  EXPECT_EQ(sum_words(std::span(ones).first(65535)), swapped(test::plain_sum(ones, 0, 65535)));
  const Bytes zeros(65536);
  EXPECT_EQ(sum_words(zeros), 0);
}

TEST(InternetChecksum, AddsPiecesOfOddLengths) {
  const Bytes bytes = random_bytes(1000, 3);
  std::minstd_rand random(5);
  for (int round = 0; round < 200; ++round) {
    InternetSum sum;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t n = std::min<std::size_t>(random() % 97, bytes.size() - at);
      sum.add(std::span(bytes).subspan(at, n));
      at += n;
    }
    ASSERT_EQ(sum.folded(), swapped(test::plain_sum(bytes, 0, bytes.size())));
  }
}

TEST(InternetChecksum, OnlyUdpHasNoZero) {
  InternetSum sum;
  sum.add_field(0xFFFF);
  EXPECT_EQ(sum.checksum(), 0);
  EXPECT_EQ(sum.transport_checksum(true), 0xFFFF);
  EXPECT_EQ(sum.transport_checksum(false), 0);
}

}  // namespace
}  // namespace patchbay::vswitch::offload
