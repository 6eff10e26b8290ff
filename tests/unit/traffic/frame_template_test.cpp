#include "vswitch/traffic/frame_template.h"

#include <gtest/gtest.h>

#include <memory>

namespace patchbay::vswitch::traffic {
namespace {

constexpr StreamAddresses kAddresses{.source_mac = {2, 0, 0, 0, 0, 1},
                                     .next_hop_mac = {2, 0, 0, 0, 0, 9},
                                     .source = {10, 0, 1, 2},
                                     .destination = {10, 0, 2, 2}};

unsigned at(const FrameView& frame, std::size_t offset) {
  return std::to_integer<unsigned>(frame.header[offset]);
}
unsigned at16(const FrameView& frame, std::size_t offset) {
  return at(frame, offset) << 8 | at(frame, offset + 1);
}

TEST(FrameTemplateTest, WritesWhatTheStreamIsCalled) {
  const FrameTemplate frame(kAddresses, 64);
  const auto view = std::make_unique<FrameView>();
  frame.fill(*view, 0,
             {.stream = 1, .trial = 7, .sequence = 0x1234'5678'9abc, .sent = 0x0123'4567'89ab'cdef});
  EXPECT_EQ(view->length, 60u);
  EXPECT_EQ(at(*view, 5), 9u);
  EXPECT_EQ(at(*view, 11), 1u);
  EXPECT_EQ(at16(*view, 12), 0x0800u);
  EXPECT_EQ(at16(*view, 16), 46u);
  EXPECT_EQ(at16(*view, 34), 49152u);
  EXPECT_EQ(at16(*view, 36), 5201u);
  EXPECT_EQ(at16(*view, 38), 26u);
  EXPECT_EQ(at16(*view, 40), 0u) << "no UDP checksum";
  unsigned sum = 0;
  for (std::size_t i = 14; i < 34; i += 2)
    sum += at16(*view, i);
  EXPECT_EQ((sum & 0xffff) + (sum >> 16), 0xffffu) << "IPv4 header checksum";
  const auto tag = tag_of(*view);
  ASSERT_TRUE(tag);
  EXPECT_EQ(tag->stream, 1);
  EXPECT_EQ(tag->trial, 7);
  EXPECT_EQ(tag->sequence, 0x1234'5678'9abcu);
  EXPECT_EQ(tag->sent, 0x0123'4567'89ab'cdef);
}

TEST(FrameTemplateTest, FlowsDifferByPorts) {
  const FrameTemplate frame(kAddresses, 1518);
  const auto view = std::make_unique<FrameView>();
  frame.fill(*view, 16383, {});
  EXPECT_EQ(view->length, 1514u);
  EXPECT_EQ(at16(*view, 34), 65535u);
  EXPECT_EQ(at16(*view, 36), 5201u);
  frame.fill(*view, 16384, {});
  EXPECT_EQ(at16(*view, 34), 49152u);
  EXPECT_EQ(at16(*view, 36), 5202u);
}

TEST(FrameTemplateTest, OtherFramesCarryNoTag) {
  const FrameTemplate frame(kAddresses, 64);
  const auto view = std::make_unique<FrameView>();
  frame.fill(*view, 0, {});
  ASSERT_TRUE(tag_of(*view));
  for (const std::size_t offset : {12u, 14u, 23u, 42u}) {  // EtherType, version, protocol, magic
    frame.fill(*view, 0, {});
    view->header[offset] ^= std::byte{1};
    EXPECT_FALSE(tag_of(*view)) << offset;
  }
  frame.fill(*view, 0, {});
  view->length = 59;
  EXPECT_FALSE(tag_of(*view));
}

}  // namespace
}  // namespace patchbay::vswitch::traffic
