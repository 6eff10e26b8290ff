#include "vswitch/traffic/arp_station.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

namespace patchbay::vswitch::traffic {
namespace {

constexpr MacBytes kMacA{2, 0, 0, 0, 0, 1}, kMacB{2, 0, 0, 0, 0, 2};
constexpr Ipv4Bytes kA{10, 0, 0, 1}, kB{10, 0, 0, 2}, kOther{10, 0, 0, 3};

/// What one station has to say, as the other one sees it.
std::unique_ptr<FrameView> take(ArpStation& from) {
  auto view = std::make_unique<FrameView>();
  const ArpStation::Frame* const frame = from.waiting();
  if (frame == nullptr) return nullptr;
  view->length = static_cast<std::uint32_t>(frame->size());
  std::memcpy(view->header.data(), frame->data(), frame->size());
  from.sent();
  return view;
}

TEST(ArpStationTest, TwoStationsFindEachOther) {
  ArpStation a(kMacA, kA), b(kMacB, kB);
  EXPECT_EQ(a.waiting(), nullptr);
  a.resolve(kB);
  const auto request = take(a);
  ASSERT_TRUE(request);
  EXPECT_EQ(std::to_integer<int>(request->header[0]), 0xff);
  EXPECT_TRUE(b.receive(*request));
  const auto reply = take(b);
  ASSERT_TRUE(reply);
  EXPECT_FALSE(a.resolved());
  EXPECT_TRUE(a.receive(*reply));
  EXPECT_EQ(a.resolved(), kMacB);
}

TEST(ArpStationTest, AnswersForItsOwnAddressOnly) {
  ArpStation a(kMacA, kA), b(kMacB, kB);
  a.resolve(kOther);
  EXPECT_TRUE(b.receive(*take(a)));
  EXPECT_EQ(b.waiting(), nullptr);
}

TEST(ArpStationTest, IgnoresOtherFramesAndBrokenOnes) {
  ArpStation a(kMacA, kA), b(kMacB, kB);
  a.resolve(kB);
  const auto request = take(a);
  request->header[12] = std::byte{0x86};
  EXPECT_FALSE(b.receive(*request));
  request->header[12] = std::byte{0x08};
  request->length = 41;
  EXPECT_TRUE(b.receive(*request));
  request->length = 60;
  request->header[18] = std::byte{8};  // length of the hardware address
  EXPECT_TRUE(b.receive(*request));
  EXPECT_EQ(b.waiting(), nullptr);
}

TEST(ArpStationTest, AFloodOfRequestsIsBounded) {
  ArpStation a(kMacA, kA), b(kMacB, kB);
  a.resolve(kB);
  const auto request = take(a);
  for (int i = 0; i < 1000; ++i)
    EXPECT_TRUE(b.receive(*request));
  int replies = 0;
  while (take(b))
    ++replies;
  EXPECT_EQ(replies, 16);
}

}  // namespace
}  // namespace patchbay::vswitch::traffic
