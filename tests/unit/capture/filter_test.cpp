#include "vswitch/capture/filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/capture/test_frame.h"
#include "vswitch/capture/filter_program.h"

namespace patchbay::vswitch::capture {
namespace {

bool matches(const std::string& expression, const TestFrame& frame) {
  return Filter(expression).matches(frame.view());
}

std::string error_of(const std::string& expression) {
  try {
    Filter filter(expression);
  } catch (const FilterError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Filter, AnEmptyExpressionMatchesEverything) {
  Filter filter("");
  EXPECT_TRUE(filter.matches(TestFrame(pattern(1)).view()));
}

TEST(Filter, MatchesHeaders) {
  const TestFrame tcp(ip_frame(6, 80, 10));
  EXPECT_TRUE(matches("tcp", tcp));
  EXPECT_TRUE(matches("tcp port 80 and host 10.0.0.1", tcp));
  EXPECT_TRUE(matches("dst net 192.168.0.0/24", tcp));
  EXPECT_TRUE(matches("tcp[tcpflags] & tcp-syn != 0", tcp));
  EXPECT_TRUE(matches("ether host 02:00:00:00:00:01", tcp));
  EXPECT_FALSE(matches("udp", tcp));
  EXPECT_FALSE(matches("tcp port 81", tcp));
  EXPECT_FALSE(matches("tcp[tcpflags] & tcp-ack != 0", tcp));
  EXPECT_FALSE(matches("host 10.0.0.3", tcp));
}

TEST(Filter, SeesTheLengthOnTheWire) {
  const TestFrame frame(pattern(1514), 3);
  EXPECT_TRUE(matches("len = 1514", frame));
  EXPECT_FALSE(matches("less 1513", frame));
  EXPECT_TRUE(matches("greater 1514", frame));
}

TEST(Filter, ReachesBytesBeyondTheHeaderCopy) {
  const TestFrame frame(pattern(9014), 40);
  for (const std::size_t offset : {126U, 127U, 128U, 129U, 5000U, 9010U}) {
    const std::size_t value =
        (offset % 251) << 24 | (offset + 1) % 251 << 16 | (offset + 2) % 251 << 8 | (offset + 3) % 251;
    const std::string load = "ether[" + std::to_string(offset) + ":4] = ";
    EXPECT_TRUE(matches(load + std::to_string(value), frame)) << offset;
    EXPECT_FALSE(matches(load + std::to_string(value + 1), frame)) << offset;
  }
  // A load beyond the end ends the program: no match, whatever the comparison.
  EXPECT_FALSE(matches("ether[9011:4] = 0", frame));
  EXPECT_FALSE(matches("ether[9011:4] != 0", frame));
}

TEST(Filter, ReachesAHeaderThatOptionsPushBehindTheHeaderCopy) {
  // Two VLAN tags, IPv4 with 40 bytes of options, and a TCP payload byte at 130 and on.
  std::vector<std::byte> bytes = ip_frame(6, 80, 200);
  bytes[14] = std::byte{0x4F};
  const auto options = std::vector<std::byte>(40, std::byte{1});
  bytes.insert(bytes.begin() + 34, options.begin(), options.end());
  const auto tags = to_bytes({0x81, 0x00, 0, 5, 0x81, 0x00, 0, 6});
  bytes.insert(bytes.begin() + 12, tags.begin(), tags.end());
  const TestFrame frame(bytes, 5);
  EXPECT_TRUE(matches("vlan 5 and vlan 6 and tcp dst port 80", frame));
  EXPECT_FALSE(matches("vlan 5 and vlan 7 and tcp dst port 80", frame));
  // The payload starts at 8 + 14 + 60 + 20 = 102.
  EXPECT_TRUE(matches("vlan and vlan and tcp[20 + 60] = 60", frame));
  EXPECT_FALSE(matches("vlan and vlan and tcp[20 + 60] = 61", frame));
}

TEST(Filter, HasOffsetsThatWrapAroundReadNothing) {
  const TestFrame frame(pattern(200));
  EXPECT_FALSE(matches("ether[ether[0:4] * 65535 - 20] = 1", frame));
  EXPECT_FALSE(matches("ether[0 - 4 : 4] != 1", frame));
}

TEST(Filter, AFrameShorterThanItSaysIsNoTrap) {
  TestFrame frame(pattern(300));
  frame.view().length = 4000;
  EXPECT_FALSE(matches("ether[3000] = 1", frame));
  EXPECT_TRUE(matches("ether[299] = 48", frame));
}

TEST(Filter, ErrorsGiveTheExpressionTheReasonAndTheWayOut) {
  EXPECT_EQ(error_of("tcp prot 80"),
            "capture filter \"tcp prot 80\": can't parse filter expression: syntax error. Write it in "
            "libpcap syntax, "
            "such as \"icmp\" or \"tcp port 80 and host 10.0.1.2\" (man 7 pcap-filter)");
  EXPECT_THAT(error_of("icmp and"),
              testing::StartsWith("capture filter \"icmp and\": can't parse filter expression"));
  EXPECT_THAT(error_of("tcp and udp and arp and"), testing::HasSubstr("syntax error"));
  EXPECT_THAT(error_of("tcp and arp"), testing::HasSubstr("rejects all packets"));
  EXPECT_THAT(error_of("ip broadcast"), testing::HasSubstr("netmask not known"));
}

TEST(Filter, RefusesExpressionsThatAreTooLongOrNoText) {
  EXPECT_THAT(error_of(std::string(2049, ' ')), testing::HasSubstr("2049 bytes long, the limit is 2048"));
  EXPECT_THAT(error_of(std::string("icmp\0 or tcp", 12)),
              testing::StartsWith("capture filter \"icmp? or tcp\": it contains a zero byte"));
}

// libpcap's optimizer takes seconds for this one, many under a sanitizer.
TEST(Filter, LongListsOfPortRangesCompileAtOnce) {
  std::string expression = "portrange 1-2";
  while (expression.size() < kMaxFilterBytes - 40)
    expression += " or portrange 1-2";
  EXPECT_FALSE(matches(expression, TestFrame(ip_frame(6, 80, 10))));
  EXPECT_TRUE(matches(expression + " or portrange 79-81", TestFrame(ip_frame(6, 80, 10))));
}

TEST(Filter, BlankExpressionsMatchEverything) {
  const TestFrame frame(pattern(60));
  EXPECT_TRUE(matches(" ", frame));
}

/// Compiled by libpcap; owns the program.
class Compiled {
 public:
  explicit Compiled(const char* expression) {
    pcap_t* handle = pcap_open_dead(DLT_EN10MB, 65535);
    EXPECT_EQ(pcap_compile(handle, &program_, expression, 1, PCAP_NETMASK_UNKNOWN), 0) << pcap_geterr(handle);
    pcap_close(handle);
  }
  ~Compiled() { pcap_freecode(&program_); }
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;
  [[nodiscard]] FilterProgram program() const { return {program_.bf_insns, program_.bf_len}; }

 private:
  bpf_program program_{};
};

TEST(FilterProgram, KnowsHowFarAProgramReads) {
  EXPECT_EQ(program_reach(Compiled("len > 10").program()), 0U);
  EXPECT_EQ(program_reach(Compiled("ip").program()), 14U);
  EXPECT_EQ(program_reach(Compiled("icmp").program()), 24U);
  EXPECT_EQ(program_reach(Compiled("ip host 10.0.0.1").program()), 34U);
  EXPECT_EQ(program_reach(Compiled("ip and tcp dst port 80").program()), 14U + 60 + 4);
  EXPECT_EQ(program_reach(Compiled("ether[1000:2] = 5").program()), 1002U);
  EXPECT_EQ(program_reach(Compiled("ether[0xFFFFFFFF] = 5").program()), kMaxFrameBytes);
  EXPECT_EQ(program_reach(Compiled("ether[ether[0]] = 5").program()), kMaxFrameBytes);
}

}  // namespace
}  // namespace patchbay::vswitch::capture
