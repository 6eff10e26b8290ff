#include "vswitch/offload/segmenter.h"

#include <gtest/gtest.h>

#include "tests/unit/vswitch/offload/packets.h"

namespace patchbay::vswitch::offload {
namespace {

using namespace test;

/// All segments of a frame, byte by byte.
std::vector<Bytes> segments_of(OneFrame& frame, std::uint32_t first = 0) {
  const auto plan = plan_segmentation(frame.view());
  std::vector<Bytes> result;
  if (!plan) return result;
  Segmenter segmenter;
  segmenter.start(frame.view(), *plan, first);
  const auto batch = std::make_unique<Burst>();
  while (!segmenter.done()) {
    batch->clear();
    segmenter.append_next(*batch);
    const FrameView& segment = (*batch)[0];
    EXPECT_EQ(segment.offload.flags, Offload::kDataValid);
    EXPECT_EQ(segment.offload.gso_type, Offload::kGsoNone);
    EXPECT_EQ(segment.id, 1000 + first + result.size());
    result.push_back(bytes_of(segment));
    EXPECT_EQ(result.back().size(), segment.length);
  }
  return result;
}

void expect_good_segments(const PacketOptions& options, std::size_t piece_bytes) {
  OneFrame frame(make_packet(options), piece_bytes);
  const Packet& packet = frame.packet();
  const std::vector<Bytes> segments = segments_of(frame);
  ASSERT_EQ(segments.size(),
            std::max<std::size_t>(1, (options.payload + options.gso_size - 1) / options.gso_size));
  Bytes payload;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const Bytes& segment = segments[i];
    ASSERT_EQ(faults(segment, packet, options.ipv6, options.udp), "") << "segment " << i;
    const bool last = i + 1 == segments.size();
    if (!last) {
      ASSERT_EQ(segment.size(), packet.payload + options.gso_size);
    }
    // Everything in front of the transport header that is no length, id or checksum is as it was.
    for (std::size_t at = 0; at < packet.transport; ++at) {
      const std::size_t in_ip = at - packet.network;
      if (at >= packet.network && (options.ipv6 ? in_ip == 4 || in_ip == 5
                                                : (in_ip >= 2 && in_ip <= 5) || in_ip == 10 || in_ip == 11)) {
        continue;
      }
      ASSERT_EQ(segment[at], packet.bytes[at]) << "byte " << at;
    }
    if (!options.ipv6) {
      ASSERT_EQ(big(segment, packet.network + 4, 2), (options.ip_id + i) & 0xFFFF);
    }
    if (!options.udp) {
      ASSERT_EQ(big(segment, packet.transport + 4, 4),
                static_cast<std::uint32_t>(options.sequence + i * options.gso_size));
      std::uint32_t flags = options.tcp_flags;
      if (!last) flags &= ~0x09U;
      if (i != 0) flags &= ~0x80U;
      ASSERT_EQ(big(segment, packet.transport + 13, 1), flags);
    }
    payload.insert(payload.end(), segment.begin() + static_cast<std::ptrdiff_t>(packet.payload),
                   segment.end());
  }
  EXPECT_EQ(payload,
            Bytes(packet.bytes.begin() + static_cast<std::ptrdiff_t>(packet.payload), packet.bytes.end()));
}

TEST(Segmenter, CutsTcpOverIpv4) {
  expect_good_segments({}, 1500);
}
TEST(Segmenter, CutsTcpOverIpv6) {
  expect_good_segments({.ipv6 = true, .gso_size = 1428}, 1500);
}
TEST(Segmenter, CutsUdpTrains) {
  expect_good_segments({.udp = true, .payload = 5000, .gso_size = 1200}, 700);
  expect_good_segments({.ipv6 = true, .udp = true, .payload = 5000, .gso_size = 1201}, 701);
}
TEST(Segmenter, CutsBehindVlanTagsAndIpOptions) {
  for (const int tags : {0, 1, 2}) {
    for (const std::size_t options : {0U, 8U, 24U}) {
      expect_good_segments({.vlan_tags = tags, .ip_options = options}, 997);
      expect_good_segments({.ipv6 = true, .vlan_tags = tags, .ip_options = options}, 997);
    }
  }
}
TEST(Segmenter, LeavesFinPushAndCongestionSignalWhereTheyBelong) {
  expect_good_segments({.tcp_flags = 0xD9}, 1500);  // CWR, ECE, ACK, PSH, FIN
}
TEST(Segmenter, CutsTheLargestFrame) {
  expect_good_segments({.payload = kMaxFrameBytes - 66, .gso_size = 1448}, 4096);
  expect_good_segments({.payload = kMaxFrameBytes - 66, .gso_size = 65000}, 4096);
}
TEST(Segmenter, MakesOneSegmentOfAFrameThatNeedsNoCutting) {
  expect_good_segments({.payload = 1448}, 100);
  expect_good_segments({.payload = 1}, 100);
  expect_good_segments({.payload = 0}, 100);
}
TEST(Segmenter, CutsIntoSegmentsSmallerThanTheHeaderCopy) {
  for (const std::uint16_t size : std::vector<std::uint16_t>{3, 9, 33, 62, 63, 64, 65, 127, 129})
    expect_good_segments({.payload = 2000, .gso_size = size}, 61);
}

TEST(Segmenter, CutsWhateverTheShape) {
  std::minstd_rand random(42);
  for (unsigned round = 0; round < 2000; ++round) {
    PacketOptions options;
    options.ipv6 = random() % 2 != 0;
    options.udp = random() % 4 == 0;
    options.vlan_tags = static_cast<int>(random() % 3);
    options.ip_options = random() % 2 * 8;
    options.tcp_options = random() % 6 * 4;
    options.payload = random() % 3000;
    options.gso_size = static_cast<std::uint16_t>(8 + random() % 1500);
    options.tcp_flags = static_cast<std::uint8_t>(random() >> 8);
    options.ip_id = static_cast<std::uint16_t>(random());
    options.seed = round + 1;
    expect_good_segments(options, 50 + random() % 2000);
    if (HasFatalFailure()) FAIL() << "round " << round;
  }
}

TEST(Segmenter, StartsAtAnySegment) {
  OneFrame whole(make_packet({.payload = 10'000, .gso_size = 700}), 333);
  const auto all = segments_of(whole);
  ASSERT_EQ(all.size(), 15u);
  for (std::uint32_t first = 0; first <= all.size(); ++first)
    EXPECT_EQ(segments_of(whole, first), std::vector<Bytes>(all.begin() + first, all.end()));
}

TEST(Segmenter, CompletesAChecksumInPlace) {
  for (const bool ipv6 : {false, true}) {
    for (const bool udp : {false, true}) {
      for (const std::size_t payload : {0U, 1U, 18U, 59U, 60U, 61U, 500U, 1448U, 9001U}) {
        OneFrame frame(make_packet({.ipv6 = ipv6, .udp = udp, .payload = payload, .gso_size = 0}), 301);
        ASSERT_TRUE(is_valid(frame.view()));
        complete_checksum(frame.view());
        EXPECT_EQ(frame.view().offload.flags, 0);
        EXPECT_EQ(faults(bytes_of(frame.view()), frame.packet(), ipv6, udp), "");
      }
    }
  }
}

// Metadata that contradict the packet, each by one change to a frame that is good.
struct Lie {
  const char* name;
  void (*tell)(FrameView&);
};
class HostileSegmentation : public ::testing::TestWithParam<Lie> {};

TEST_P(HostileSegmentation, IsRefused) {
  OneFrame frame(make_packet({.gso_size = 1000}));
  ASSERT_TRUE(is_valid(frame.view()));
  GetParam().tell(frame.view());
  EXPECT_FALSE(is_valid(frame.view()));
}

constexpr std::size_t kIp = 14;
constexpr std::size_t kTcp = 34;
INSTANTIATE_TEST_SUITE_P(
    Lies, HostileSegmentation,
    ::testing::Values(Lie{"NoSize", [](FrameView& f) { f.offload.gso_size = 0; }},
                      Lie{"MoreSegmentsThanAnyoneNeeds", [](FrameView& f) { f.offload.gso_size = 1; }},
                      Lie{"NoChecksum", [](FrameView& f) { f.offload.flags = 0; }},
                      Lie{"UnknownType", [](FrameView& f) { f.offload.gso_type = 2; }},
                      Lie{"FragmentationNeverOffered",
                          [](FrameView& f) { f.offload.gso_type = Offload::kGsoUdp; }},
                      Lie{"EcnAlone", [](FrameView& f) { f.offload.gso_type = Offload::kGsoEcn; }},
                      Lie{"OtherIpVersion", [](FrameView& f) { f.offload.gso_type = Offload::kGsoTcp6; }},
                      Lie{"UdpTrainOfTcp", [](FrameView& f) { f.offload.gso_type = Offload::kGsoUdpL4; }},
                      Lie{"ChecksumElsewhere", [](FrameView& f) { f.offload.checksum_offset = 6; }},
                      Lie{"TransportInTheEthernetHeader", [](FrameView& f) { f.offload.checksum_start = 0; }},
                      Lie{"TransportBeforeTheEndOfIp", [](FrameView& f) { f.offload.checksum_start = 30; }},
                      Lie{"TransportPastTheFrame", [](FrameView& f) { f.offload.checksum_start = 0xFFFF; }},
                      Lie{"NoIpAtAll", [](FrameView& f) { f.header[13] = std::byte{0x06}; }},
                      Lie{"VersionOfTheOtherKind", [](FrameView& f) { f.header[kIp] = std::byte{0x65}; }},
                      Lie{"IpHeaderTooShort", [](FrameView& f) { f.header[kIp] = std::byte{0x44}; }},
                      Lie{"IpHeaderLonger", [](FrameView& f) { f.header[kIp] = std::byte{0x46}; }},
                      Lie{"Fragment", [](FrameView& f) { f.header[kIp + 6] = std::byte{0x20}; }},
                      Lie{"FragmentOffset", [](FrameView& f) { f.header[kIp + 7] = std::byte{0x01}; }},
                      Lie{"OtherProtocol", [](FrameView& f) { f.header[kIp + 9] = std::byte{17}; }},
                      Lie{"TcpHeaderTooShort", [](FrameView& f) { f.header[kTcp + 12] = std::byte{0x40}; }},
                      Lie{"FrameEndsInTheHeader",
                          [](FrameView& f) {
                            f.length = 60;
                            f.tail = {};
                          }},
                      Lie{"FourVlanTags",
                          [](FrameView& f) {
                            for (std::size_t at = 12; at < 28; at += 4) {
                              f.header[at] = std::byte{0x81};
                              f.header[at + 1] = std::byte{0};
                            }
                          }}),
    [](const auto& lie) { return lie.param.name; });

TEST(HostileSegmentation6, ExtensionHeadersThatLeadAstrayAreRefused) {
  const auto with = [](std::size_t at, std::uint8_t value) {
    OneFrame frame(make_packet({.ipv6 = true, .ip_options = 16, .gso_size = 1000}));
    frame.view().header[at] = std::byte{value};
    return is_valid(frame.view());
  };
  constexpr std::size_t kNext = 14 + 6;
  constexpr std::size_t kExtension = 14 + 40;
  EXPECT_TRUE(with(kNext, 60));
  EXPECT_FALSE(with(kNext, 43)) << "routing header";
  EXPECT_FALSE(with(kNext, 44)) << "fragment header";
  EXPECT_FALSE(with(kNext, 6)) << "no extension header where one is";
  EXPECT_FALSE(with(kExtension, 17)) << "another protocol";
  EXPECT_FALSE(with(kExtension + 1, 0)) << "ends too early";
  EXPECT_FALSE(with(kExtension + 1, 255)) << "ends too late";
}

TEST(HostileSegmentation4, HeadersBeyondTheCopyAreRefused) {
  OneFrame fits(make_packet({.ip_options = 40, .tcp_options = 32}));
  EXPECT_TRUE(is_valid(fits.view()));
  OneFrame beyond(make_packet({.ip_options = 40, .tcp_options = 36}));
  EXPECT_FALSE(is_valid(beyond.view()));
}

TEST(HostileChecksum, AFieldBeyondTheFrameOrTheCopyIsRefused) {
  const auto valid = [](std::size_t payload, std::uint16_t start, std::uint16_t offset) {
    OneFrame frame(make_packet({.payload = payload, .gso_size = 0}));
    frame.view().offload.checksum_start = start;
    frame.view().offload.checksum_offset = offset;
    return is_valid(frame.view());
  };
  EXPECT_TRUE(valid(0, 50, 14));
  EXPECT_FALSE(valid(0, 50, 15)) << "66 bytes in all";
  EXPECT_FALSE(valid(0, 0xFFFF, 0xFFFF));
  EXPECT_TRUE(valid(1000, 126, 0));
  EXPECT_FALSE(valid(1000, 126, 1));
}

}  // namespace
}  // namespace patchbay::vswitch::offload
