#include "vswitch/balance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace patchbay::vswitch {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

SegmentSnapshot balanced() {
  SegmentSnapshot segment{"lan", "bridge", {}, 3, 3};
  PortSnapshot port;
  port.name = "h1:eth1";
  port.in.frames = 5;
  port.in.forwarded = 3;
  port.in.dropped[static_cast<std::size_t>(DropReason::same_port)] = 2;
  port.out.offered = 5;
  port.out.delivered = 3;
  port.out.dropped[static_cast<std::size_t>(DropReason::no_room)] = 2;
  segment.ports.push_back(port);
  return segment;
}

TEST(BalanceTest, AcceptsCountersThatBalance) {
  EXPECT_THAT(imbalances(balanced()), IsEmpty());
}

TEST(BalanceTest, NamesAFrameThatWasTakenAndIsNowhere) {
  SegmentSnapshot segment = balanced();
  ++segment.ports[0].in.frames;
  EXPECT_THAT(imbalances(segment), ElementsAre("h1:eth1: in.frames 6 != in.forwarded 3 + dropped 2"));
}

TEST(BalanceTest, NamesAFrameThatWasOfferedAndIsNowhere) {
  SegmentSnapshot segment = balanced();
  ++segment.ports[0].out.offered;
  EXPECT_THAT(imbalances(segment), ElementsAre("h1:eth1: out.offered 6 != out.delivered 3 + dropped 2"));
}

TEST(BalanceTest, NamesACopyThatNobodyWasOffered) {
  SegmentSnapshot segment = balanced();
  ++segment.copies;
  EXPECT_THAT(imbalances(segment), ElementsAre("lan: 4 copies made != 3 offered"));
}

}  // namespace
}  // namespace patchbay::vswitch
