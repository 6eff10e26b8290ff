#include "vswitch/capture/checksum.h"

#include <gtest/gtest.h>

#include "tests/unit/capture/test_frame.h"
#include "vswitch/capture/frame_copy.h"

namespace patchbay::vswitch::capture {
namespace {

constexpr std::size_t kTransport = 14 + 20;
constexpr std::size_t kUdpChecksum = 6;

std::uint32_t add_words(std::uint32_t sum, std::span<const std::byte> bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    sum += std::to_integer<std::uint32_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
  }
  return sum;
}

std::uint16_t fold(std::uint32_t sum) {
  while (sum >> 16 != 0)
    sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

/// A UDP frame as a sender leaves it: the checksum field holds the sum of the pseudo-header.
std::vector<std::byte> unfinished_udp(std::size_t payload) {
  std::vector<std::byte> bytes = ip_frame(17, 53, payload);
  const std::uint16_t pseudo =
      fold(add_words(17 + 8 + static_cast<std::uint32_t>(payload), std::span(bytes).subspan(26, 8)));
  bytes[kTransport + kUdpChecksum] = static_cast<std::byte>(pseudo >> 8);
  bytes[kTransport + kUdpChecksum + 1] = static_cast<std::byte>(pseudo);
  return bytes;
}

void leave_checksum_to_wire(FrameView& view) {
  view.offload.flags = Offload::kNeedsChecksum;
  view.offload.checksum_start = kTransport;
  view.offload.checksum_offset = kUdpChecksum;
}

/// What the receiver does (RFC 1071): sums pseudo-header and datagram to all ones.
bool udp_is_right(std::span<const std::byte> frame) {
  const auto datagram = frame.subspan(kTransport);
  std::uint32_t sum = add_words(17 + static_cast<std::uint32_t>(datagram.size()), frame.subspan(26, 8));
  return fold(add_words(sum, datagram)) == 0xFFFF;
}

class ChecksumOfPayload : public testing::TestWithParam<std::tuple<std::size_t, std::size_t>> {};

TEST_P(ChecksumOfPayload, IsCompletedInAWholeCopy) {
  const auto [payload, pieces] = GetParam();
  TestFrame frame(unfinished_udp(payload), pieces);
  leave_checksum_to_wire(frame.view());
  std::vector<std::byte> copy = frame.bytes();
  complete_checksum(frame.view(), copy);
  EXPECT_TRUE(udp_is_right(copy));
}

TEST_P(ChecksumOfPayload, CoversBytesBeyondAShortCopy) {
  const auto [payload, pieces] = GetParam();
  TestFrame frame(unfinished_udp(payload), pieces);
  leave_checksum_to_wire(frame.view());
  for (std::size_t snaplen : {42U, 43U, 64U, 127U, 128U, 129U, 1001U}) {
    std::vector<std::byte> copy(std::min(snaplen, frame.bytes().size()));
    copy_frame(frame.view(), copy);
    complete_checksum(frame.view(), copy);
    std::vector<std::byte> whole = frame.bytes();
    std::copy(copy.begin(), copy.end(), whole.begin());
    EXPECT_TRUE(udp_is_right(whole)) << snaplen;
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, ChecksumOfPayload,
                         testing::Combine(testing::Values(0, 1, 2, 85, 86, 87, 200, 1458, 1459, 8191, 65000),
                                          testing::Values(1, 2, 7, 40, 63)));

TEST(Checksum, IsLeftAloneWhereTheSenderCompletedIt) {
  TestFrame frame(unfinished_udp(100));
  std::vector<std::byte> copy = frame.bytes();
  complete_checksum(frame.view(), copy);
  EXPECT_EQ(copy, frame.bytes());
}

TEST(Checksum, IsLeftAloneWhereItsPlaceWasNotCaptured) {
  TestFrame frame(unfinished_udp(100));
  leave_checksum_to_wire(frame.view());
  for (std::size_t snaplen : {0U, 1U, 34U, 41U}) {
    std::vector<std::byte> copy(snaplen);
    copy_frame(frame.view(), copy);
    const std::vector<std::byte> before = copy;
    complete_checksum(frame.view(), copy);
    EXPECT_EQ(copy, before) << snaplen;
  }
}

TEST(Checksum, IsLeftAloneWhereItsPlaceLiesOutsideTheFrame) {
  TestFrame frame(unfinished_udp(100));
  leave_checksum_to_wire(frame.view());
  frame.view().offload.checksum_start = 0xFFFF;
  frame.view().offload.checksum_offset = 0xFFFF;
  std::vector<std::byte> copy = frame.bytes();
  complete_checksum(frame.view(), copy);
  EXPECT_EQ(copy, frame.bytes());
}

TEST(Checksum, IsNeverZero) {
  // A field and a datagram that sum to 0xFFFF have the checksum 0, which UDP sends as 0xFFFF.
  std::vector<std::byte> bytes(64, std::byte{0});
  bytes[kTransport] = bytes[kTransport + 1] = std::byte{0xFF};
  TestFrame frame(bytes);
  leave_checksum_to_wire(frame.view());
  complete_checksum(frame.view(), bytes);
  EXPECT_EQ(bytes[kTransport + kUdpChecksum], std::byte{0xFF});
  EXPECT_EQ(bytes[kTransport + kUdpChecksum + 1], std::byte{0xFF});
}

}  // namespace
}  // namespace patchbay::vswitch::capture
