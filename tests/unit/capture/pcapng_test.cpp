#include "vswitch/capture/pcapng.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/capture/test_frame.h"

namespace patchbay::vswitch::capture {
namespace {

template <typename Block>
std::vector<std::byte> encoded(const Block& block) {
  std::vector<std::byte> out;
  append(out, block);
  return out;
}

TEST(Pcapng, SectionHeaderWithoutOptions) {
  EXPECT_EQ(encoded(SectionHeader{}),
            to_bytes({0x0A, 0x0D, 0x0D, 0x0A, 28,   0,    0,    0,     // type, length
                      0x4D, 0x3C, 0x2B, 0x1A, 1,    0,    0,    0,     // magic, version 1.0
                      0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,  // section length unknown
                      28,   0,    0,    0}));
}

TEST(Pcapng, SectionHeaderWithEveryOption) {
  SectionHeader section;
  section.comment = "c";
  section.hardware = "hard";
  section.os = "Linux";
  section.application = "app";
  EXPECT_EQ(encoded(section), to_bytes({0x0A, 0x0D, 0x0D, 0x0A, 68,   0,    0,    0,                   //
                                        0x4D, 0x3C, 0x2B, 0x1A, 1,    0,    0,    0,                   //
                                        0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,                //
                                        1,    0,    1,    0,    'c',  0,    0,    0,                   //
                                        2,    0,    4,    0,    'h',  'a',  'r',  'd',                 //
                                        3,    0,    5,    0,    'L',  'i',  'n',  'u',  'x', 0, 0, 0,  //
                                        4,    0,    3,    0,    'a',  'p',  'p',  0,                   //
                                        0,    0,    0,    0,    68,   0,    0,    0}));
}

TEST(Pcapng, InterfaceDescriptionAlwaysGivesItsTimeResolution) {
  EXPECT_EQ(encoded(InterfaceDescription{}), to_bytes({1, 0, 0, 0, 32, 0, 0, 0,  //
                                                       1, 0, 0, 0, 0,  0, 0, 0,  // Ethernet, no snaplen
                                                       9, 0, 1, 0, 9,  0, 0, 0,  // nanoseconds
                                                       0, 0, 0, 0, 32, 0, 0, 0}));
}

TEST(Pcapng, InterfaceDescriptionWithEveryOption) {
  InterfaceDescription interface;
  interface.snaplen = 0x102;
  interface.comment = "hi";
  interface.name = "r1:eth1";
  interface.description = "lab";
  interface.mac = {{2, 0, 0, 0, 0, 9}};
  interface.speed = 1'000'000'000;
  interface.filter = "icmp";
  interface.hardware = "e1000";
  EXPECT_EQ(encoded(interface),
            to_bytes({1,  0, 0, 0, 108,  0,    0,    0,                       //
                      1,  0, 0, 0, 2,    1,    0,    0,                       //
                      1,  0, 2, 0, 'h',  'i',  0,    0,                       // comment
                      2,  0, 7, 0, 'r',  '1',  ':',  'e',  't', 'h', '1', 0,  // if_name
                      3,  0, 3, 0, 'l',  'a',  'b',  0,                       // if_description
                      6,  0, 6, 0, 2,    0,    0,    0,    0,   9,   0,   0,  // if_MACaddr
                      8,  0, 8, 0, 0x00, 0xCA, 0x9A, 0x3B, 0,   0,   0,   0,  // if_speed
                      9,  0, 1, 0, 9,    0,    0,    0,                       // if_tsresol
                      11, 0, 5, 0, 0,    'i',  'c',  'm',  'p', 0,   0,   0,  // if_filter
                      15, 0, 5, 0, 'e',  '1',  '0',  '0',  '0', 0,   0,   0,  // if_hardware
                      0,  0, 0, 0, 108,  0,    0,    0}));
}

TEST(Pcapng, EnhancedPacketIsPaddedAndNeedsNoOptions) {
  EnhancedPacket packet;
  packet.interface = 3;
  packet.timestamp = 0x0000000500000006;
  packet.captured_length = 5;
  packet.original_length = 60;
  std::vector<std::byte> out;
  append(out, packet, to_bytes({1, 2, 3, 4, 5}));
  EXPECT_EQ(out, to_bytes({6, 0, 0, 0, 40, 0, 0, 0,                                        //
                           3, 0, 0, 0, 5,  0, 0, 0, 6,  0, 0, 0, 5, 0, 0, 0, 60, 0, 0, 0,  //
                           1, 2, 3, 4, 5,  0, 0, 0, 40, 0, 0, 0}));
}

TEST(Pcapng, EnhancedPacketWithEveryOption) {
  EnhancedPacket packet;
  packet.captured_length = 4;
  packet.original_length = 4;
  packet.direction = PacketDirection::outbound;
  packet.drop_count = 7;
  packet.packet_id = 0x0102030405060708;
  packet.queue = 2;
  const auto verdict = to_bytes({0, 9});
  packet.verdict = verdict;
  packet.comment = "no_room";
  std::vector<std::byte> out;
  append(out, packet, to_bytes({1, 2, 3, 4}));
  EXPECT_EQ(out, to_bytes({6, 0, 0, 0, 100, 0,   0,   0,                                              //
                           0, 0, 0, 0, 0,   0,   0,   0,   0,   0,   0,   0, 4, 0, 0, 0, 4, 0, 0, 0,  //
                           1, 2, 3, 4,                                                                //
                           1, 0, 7, 0, 'n', 'o', '_', 'r', 'o', 'o', 'm', 0,  // comment
                           2, 0, 4, 0, 2,   0,   0,   0,                      // epb_flags: outbound
                           4, 0, 8, 0, 7,   0,   0,   0,   0,   0,   0,   0,  // epb_dropcount
                           5, 0, 8, 0, 8,   7,   6,   5,   4,   3,   2,   1,  // epb_packetid
                           6, 0, 4, 0, 2,   0,   0,   0,                      // epb_queue
                           7, 0, 2, 0, 0,   9,   0,   0,                      // epb_verdict
                           0, 0, 0, 0, 100, 0,   0,   0}));
}

TEST(Pcapng, EnhancedPacketOfNoBytes) {
  std::vector<std::byte> out;
  append(out, EnhancedPacket{}, {});
  EXPECT_EQ(out.size(), 32U);
}

TEST(Pcapng, EncodeLeavesExactlyTheDataToTheCaller) {
  EnhancedPacket packet;
  packet.captured_length = 6;
  packet.direction = PacketDirection::inbound;
  ASSERT_EQ(encoded_size(packet), 52U);
  std::vector<std::byte> block(52, std::byte{0xEE});
  const std::span<std::byte> data = encode(packet, block);
  EXPECT_EQ(data.data(), block.data() + 28);
  EXPECT_EQ(data.size(), 6U);
  EXPECT_THAT(data, testing::Each(std::byte{0xEE}));
  EXPECT_EQ(std::count(block.begin(), block.end(), std::byte{0xEE}), 6);
}

TEST(Pcapng, InterfaceStatisticsWithEveryOption) {
  InterfaceStatistics statistics;
  statistics.interface = 1;
  statistics.timestamp = 0x0000000100000002;
  statistics.start_time = 0x0000000300000004;
  statistics.end_time = 0x0000000500000006;
  statistics.received = 10;
  statistics.dropped = 2;
  statistics.filter_accepted = 9;
  statistics.os_dropped = 0;
  statistics.delivered = 7;
  EXPECT_EQ(encoded(statistics), to_bytes({5, 0, 0, 0, 112, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0,  //
                                           2, 0, 8, 0, 3,   0, 0, 0, 4, 0, 0, 0,  // isb_starttime
                                           3, 0, 8, 0, 5,   0, 0, 0, 6, 0, 0, 0,  // isb_endtime
                                           4, 0, 8, 0, 10,  0, 0, 0, 0, 0, 0, 0,  // isb_ifrecv
                                           5, 0, 8, 0, 2,   0, 0, 0, 0, 0, 0, 0,  // isb_ifdrop
                                           6, 0, 8, 0, 9,   0, 0, 0, 0, 0, 0, 0,  // isb_filteraccept
                                           7, 0, 8, 0, 0,   0, 0, 0, 0, 0, 0, 0,  // isb_osdrop
                                           8, 0, 8, 0, 7,   0, 0, 0, 0, 0, 0, 0,  // isb_usrdeliv
                                           0, 0, 0, 0, 112, 0, 0, 0}));
}

TEST(Pcapng, CutsStringsThatNoOptionCanHold) {
  const std::string text(70'000, 'x');
  SectionHeader section;
  section.comment = text;
  EXPECT_EQ(encoded(section).size(), 28U + 4 + 65'536 + 4);
  InterfaceDescription interface;
  interface.filter = text;
  EXPECT_EQ(encoded(interface).size(), 32U + 4 + 65'536);
}

TEST(Pcapng, AppendsBehindWhatIsThere) {
  std::vector<std::byte> out = encoded(SectionHeader{});
  append(out, InterfaceDescription{});
  ASSERT_EQ(out.size(), 60U);
  EXPECT_EQ(read_block_header(out).type, BlockType::section_header);
  EXPECT_EQ(read_block_header(out).length, 28U);
  EXPECT_EQ(read_block_header(std::span(out).subspan(28)).type, BlockType::interface_description);
}

TEST(Pcapng, ReadsBackTheDropsOfAnInterface) {
  InterfaceStatistics statistics;
  EXPECT_EQ(read_dropped(encoded(statistics)), 0U);
  statistics.received = 9;
  statistics.dropped = 0x1'0000'0002;
  EXPECT_EQ(read_dropped(encoded(statistics)), 0x1'0000'0002U);
  // An option that reaches beyond the block.
  std::vector<std::byte> block = encoded(statistics);
  block[22] = std::byte{0xFF};
  EXPECT_EQ(read_dropped(block), 0U);
  EXPECT_EQ(read_dropped(to_bytes({5, 0, 0, 0, 12, 0, 0, 0, 12, 0, 0, 0})), 0U);
}

TEST(Pcapng, ReadsBackThePacketOrigin) {
  EnhancedPacket packet;
  packet.interface = 5;
  packet.timestamp = 1'700'000'000'123'456'789;
  std::vector<std::byte> out;
  append(out, packet, {});
  EXPECT_EQ(read_packet_origin(out).interface, 5U);
  EXPECT_EQ(read_packet_origin(out).timestamp, 1'700'000'000'123'456'789U);
}

}  // namespace
}  // namespace patchbay::vswitch::capture
