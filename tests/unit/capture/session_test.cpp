#include "vswitch/capture/session.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <cstring>
#include <ctime>
#include <map>
#include <thread>

#include "tests/unit/capture/test_frame.h"
#include "vswitch/capture/filter.h"

namespace patchbay::vswitch::capture {
namespace {

using Bytes = std::vector<std::byte>;
using Options = std::map<std::uint16_t, Bytes>;

template <typename T>
T value_at(std::span<const std::byte> bytes, std::size_t offset = 0) {
  T value{};
  EXPECT_LE(offset + sizeof value, bytes.size());
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

/// One block of a stream, taken apart again.
struct Block {
  BlockType type;
  Bytes body;  // between the two lengths

  [[nodiscard]] std::size_t captured() const { return value_at<std::uint32_t>(body, 12); }
  [[nodiscard]] Bytes data() const {
    return {body.begin() + 20, body.begin() + 20 + static_cast<long>(captured())};
  }
  [[nodiscard]] Options options() const {
    std::size_t at = type == BlockType::enhanced_packet        ? 20 + (captured() + 3) / 4 * 4
                     : type == BlockType::interface_statistics ? 12
                     : type == BlockType::section_header       ? 16
                                                               : 8;
    Options found;
    while (at < body.size()) {
      const auto code = value_at<std::uint16_t>(body, at);
      const auto length = value_at<std::uint16_t>(body, at + 2);
      if (code == 0) break;
      found[code] = {body.begin() + static_cast<long>(at) + 4,
                     body.begin() + static_cast<long>(at) + 4 + length};
      at += 4 + (length + 3U) / 4 * 4;
    }
    return found;
  }
  [[nodiscard]] std::uint64_t number(std::uint16_t code) const {
    return value_at<std::uint64_t>(options().at(code));
  }
};

std::vector<Block> split(std::span<const std::byte> stream) {
  std::vector<Block> blocks;
  while (!stream.empty()) {
    const BlockHeader header = read_block_header(stream);
    EXPECT_EQ(header.length % 4, 0U);
    if (header.length < kMinBlockBytes || header.length > stream.size()) {
      ADD_FAILURE() << "a block of length " << header.length << " where " << stream.size() << " bytes remain";
      break;
    }
    EXPECT_EQ(value_at<std::uint32_t>(stream, header.length - 4), header.length);
    blocks.push_back({header.type, {stream.begin() + 8, stream.begin() + header.length - 4}});
    stream = stream.subspan(header.length);
  }
  return blocks;
}

std::vector<Block> read_available(CaptureSession& session, std::size_t buffer_bytes = kMinReadBytes) {
  Bytes buffer(buffer_bytes);
  std::vector<Block> blocks;
  while (const std::size_t bytes = session.read(buffer)) {
    for (Block& block : split(std::span(buffer).first(bytes)))
      blocks.push_back(std::move(block));
  }
  return blocks;
}

std::vector<Block> of_type(const std::vector<Block>& blocks, BlockType type) {
  std::vector<Block> found;
  std::copy_if(blocks.begin(), blocks.end(), std::back_inserter(found),
               [type](const Block& block) { return block.type == type; });
  return found;
}

void show(CaptureSession& session, Direction direction, const std::vector<const FrameView*>& frames,
          std::size_t interface = 0) {
  session.tap(interface).frames(direction, frames);
}

CaptureInterface interface(const char* name, unsigned worker = 0) {
  CaptureInterface described;
  described.name = name;
  described.worker = worker;
  return described;
}

std::uint64_t now() {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

TEST(CaptureSession, StartsWithTheSectionAndItsInterfaces) {
  CaptureInterface first = interface("r1:eth0");
  first.description = "lab r1:eth0 -- h1:eth1";
  first.mac = {{2, 0, 0, 0, 0, 1}};
  first.speed = 10;
  first.hardware = "virtio-net";
  CaptureSession session({first, interface("h1:eth1")}, {.filter = "icmp", .snaplen = 96});
  const std::vector<Block> blocks = read_available(session);
  ASSERT_EQ(blocks.size(), 3U);
  EXPECT_EQ(blocks[0].type, BlockType::section_header);
  EXPECT_EQ(blocks[0].options()[4], Bytes(to_bytes({'P', 'a', 't', 'c', 'h', 'b', 'a', 'y'})));
  EXPECT_EQ(blocks[1].type, BlockType::interface_description);
  EXPECT_EQ(value_at<std::uint32_t>(blocks[1].body, 4), 96U);
  EXPECT_EQ(blocks[1].options()[2], to_bytes({'r', '1', ':', 'e', 't', 'h', '0'}));
  EXPECT_EQ(blocks[1].options()[3].size(), first.description.size());
  EXPECT_EQ(blocks[1].options()[6], to_bytes({2, 0, 0, 0, 0, 1}));
  EXPECT_EQ(blocks[1].number(8), 10U);
  EXPECT_EQ(blocks[1].options()[11], to_bytes({0, 'i', 'c', 'm', 'p'}));
  EXPECT_EQ(blocks[1].options()[15].size(), 10U);
  EXPECT_EQ(blocks[2].options()[2], to_bytes({'h', '1', ':', 'e', 't', 'h', '1'}));
  EXPECT_FALSE(session.finished());
}

TEST(CaptureSession, RecordsBothDirectionsRelativeToTheInterface) {
  CaptureSession session({interface("r1:eth0")}, {});
  TestFrame request(ip_frame(17, 53, 20));
  TestFrame reply(ip_frame(17, 54, 21));
  request.view().id = 77;
  const std::uint64_t before = now();
  show(session, Direction::from_port, {&request.view()});
  show(session, Direction::to_port, {&reply.view()});
  const std::uint64_t after = now();
  const auto packets = of_type(read_available(session), BlockType::enhanced_packet);
  ASSERT_EQ(packets.size(), 2U);
  EXPECT_EQ(packets[0].data(), request.bytes());
  EXPECT_EQ(packets[0].options()[2], to_bytes({2, 0, 0, 0}));  // outbound
  EXPECT_EQ(packets[0].number(5), 77U);
  EXPECT_EQ(packets[1].data(), reply.bytes());
  EXPECT_EQ(packets[1].options()[2], to_bytes({1, 0, 0, 0}));  // inbound
  EXPECT_EQ(packets[1].options().count(5), 0U);                // nobody numbered it
  for (const Block& packet : packets) {
    const std::uint64_t stamp = std::uint64_t{value_at<std::uint32_t>(packet.body, 4)} << 32 |
                                value_at<std::uint32_t>(packet.body, 8);
    EXPECT_GE(stamp, before);
    EXPECT_LE(stamp, after);
  }
}

TEST(CaptureSession, KeepsOnlyWhatTheFilterAccepts) {
  CaptureSession session({interface("r1:eth0")}, {.filter = "udp port 53"});
  TestFrame dns(ip_frame(17, 53)), other(ip_frame(17, 54)), tcp(ip_frame(6, 53));
  show(session, Direction::from_port, {&other.view(), &dns.view(), &tcp.view()});
  const auto packets = of_type(read_available(session), BlockType::enhanced_packet);
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(packets[0].data(), dns.bytes());
  const CaptureStatistics counted = session.statistics(0);
  EXPECT_EQ(counted.received, 3U);
  EXPECT_EQ(counted.accepted, 1U);
  EXPECT_EQ(counted.delivered, 1U);
}

TEST(CaptureSession, RefusesABadFilterAndNoInterface) {
  EXPECT_THROW(CaptureSession({interface("r1:eth0")}, {.filter = "tcp prot 80"}), FilterError);
  EXPECT_THROW(CaptureSession({}, {}), std::invalid_argument);
}

TEST(CaptureSession, CutsFramesAtTheSnaplen) {
  for (const std::uint32_t snaplen : {1U, 14U, 128U, 129U, 1000U}) {
    CaptureSession session({interface("r1:eth0")}, {.snaplen = snaplen});
    TestFrame frame(pattern(1500), 3);
    show(session, Direction::from_port, {&frame.view()});
    const auto packets = of_type(read_available(session), BlockType::enhanced_packet);
    ASSERT_EQ(packets.size(), 1U);
    EXPECT_EQ(packets[0].data(), Bytes(frame.bytes().begin(), frame.bytes().begin() + snaplen));
    EXPECT_EQ(value_at<std::uint32_t>(packets[0].body, 16), 1500U);
  }
}

TEST(CaptureSession, ASnaplenOfZeroKeepsWholeFramesOfManyPieces) {
  CaptureSession session({interface("r1:eth0")}, {.snaplen = 0});
  for (const std::size_t pieces : {1U, 19U, 40U, 64U}) {
    TestFrame frame(pattern(kMaxFrameBytes), pieces);
    show(session, Direction::to_port, {&frame.view()});
    const auto packets = of_type(read_available(session), BlockType::enhanced_packet);
    ASSERT_EQ(packets.size(), 1U);
    EXPECT_EQ(packets[0].data(), frame.bytes()) << pieces;
  }
}

TEST(CaptureSession, RecordsBytesThatAFrameLacksAsZero) {
  CaptureSession session({interface("r1:eth0")}, {.ring_bytes = kMinRingBytes});
  TestFrame filler(Bytes(60'000, std::byte{0xEE}));
  for (int i = 0; i < 4; ++i)
    show(session, Direction::from_port, {&filler.view()});
  (void)read_available(session);
  TestFrame frame(pattern(200));
  frame.view().length = 400;
  show(session, Direction::from_port, {&frame.view()});
  const auto packets = of_type(read_available(session), BlockType::enhanced_packet);
  ASSERT_EQ(packets.size(), 1U);
  Bytes expected = frame.bytes();
  expected.resize(400);
  EXPECT_EQ(packets[0].data(), expected);
}

TEST(CaptureSession, CompletesChecksumsAndNamesFramesLeftToBeSegmented) {
  CaptureSession session({interface("r1:eth0")}, {});
  TestFrame frame(ip_frame(17, 53, 10));
  frame.view().offload = {.flags = Offload::kNeedsChecksum,
                          .gso_type = Offload::kGsoUdpL4,
                          .gso_size = 5,
                          .checksum_start = 34,
                          .checksum_offset = 6};
  show(session, Direction::from_port, {&frame.view()});
  const auto packets = of_type(read_available(session), BlockType::enhanced_packet);
  ASSERT_EQ(packets.size(), 1U);
  // 1234 + 0035 + 0012 + 0001 + 0203 + 0405 + 0607 + 0809 = 2694, complemented.
  const Bytes data = packets[0].data();
  EXPECT_EQ(Bytes(data.begin() + 40, data.begin() + 42), to_bytes({0xD9, 0x6B}));
  const std::string comment = "larger than the wire takes: the sender left it to be segmented";
  ASSERT_EQ(packets[0].options()[1].size(), comment.size());
  EXPECT_EQ(std::memcmp(packets[0].options()[1].data(), comment.data(), comment.size()), 0);
}

TEST(CaptureSession, CountsWhatTheRingCannotHoldAndGoesOn) {
  CaptureSession session({interface("r1:eth0")}, {.ring_bytes = kMinRingBytes});
  (void)read_available(session);
  TestFrame large(pattern(60'000)), small(pattern(60));
  for (int i = 0; i < 10; ++i)
    show(session, Direction::from_port, {&large.view()});
  const CaptureStatistics full = session.statistics(0);
  EXPECT_EQ(full.received, 10U);
  EXPECT_EQ(full.accepted, 10U);
  EXPECT_EQ(full.dropped, 6U);  // 256 KiB hold four
  EXPECT_EQ(of_type(read_available(session), BlockType::enhanced_packet).size(), 4U);

  show(session, Direction::from_port, {&small.view(), &small.view()});
  auto packets = of_type(read_available(session), BlockType::enhanced_packet);
  ASSERT_EQ(packets.size(), 2U);
  EXPECT_EQ(packets[0].number(4), 6U);  // epb_dropcount, once
  EXPECT_EQ(packets[1].options().count(4), 0U);

  session.stop();
  const auto statistics = of_type(read_available(session), BlockType::interface_statistics);
  ASSERT_EQ(statistics.size(), 1U);
  EXPECT_EQ(statistics[0].number(4), 12U);  // isb_ifrecv
  EXPECT_EQ(statistics[0].number(5), 6U);   // isb_ifdrop
  EXPECT_EQ(statistics[0].number(6), 12U);  // isb_filteraccept
  EXPECT_EQ(statistics[0].number(7), 0U);   // isb_osdrop
  EXPECT_EQ(statistics[0].number(8), 6U);   // isb_usrdeliv
}

TEST(CaptureSession, CountsDropsPerInterface) {
  CaptureSession session({interface("r1:eth0"), interface("r1:eth1")}, {.ring_bytes = kMinRingBytes});
  TestFrame large(pattern(60'000)), small(pattern(60));
  for (int i = 0; i < 5; ++i)
    show(session, Direction::from_port, {&large.view()}, 1);
  (void)read_available(session);
  show(session, Direction::to_port, {&small.view()}, 0);
  show(session, Direction::to_port, {&small.view()}, 1);
  const auto packets = of_type(read_available(session), BlockType::enhanced_packet);
  ASSERT_EQ(packets.size(), 2U);
  EXPECT_EQ(packets[0].options().count(4), 0U);
  EXPECT_EQ(packets[1].number(4), 1U);
}

TEST(CaptureSession, StoppingLosesNothingThatIsBuffered) {
  CaptureSession session({interface("r1:eth0"), interface("h1:eth1")}, {});
  TestFrame frame(pattern(60));
  show(session, Direction::from_port, {&frame.view(), &frame.view(), &frame.view()});
  session.stop();
  show(session, Direction::from_port, {&frame.view()});  // too late
  const auto blocks = read_available(session);
  EXPECT_EQ(of_type(blocks, BlockType::enhanced_packet).size(), 3U);
  const auto statistics = of_type(blocks, BlockType::interface_statistics);
  ASSERT_EQ(statistics.size(), 2U);
  EXPECT_EQ(value_at<std::uint32_t>(statistics[0].body), 0U);
  EXPECT_EQ(statistics[0].number(8), 3U);
  EXPECT_EQ(value_at<std::uint32_t>(statistics[1].body), 1U);
  EXPECT_EQ(statistics[1].number(8), 0U);
  EXPECT_EQ(statistics[0].options()[2].size(), 8U);
  EXPECT_EQ(blocks.back().type, BlockType::interface_statistics);
  EXPECT_TRUE(session.finished());
  Bytes buffer(kMinReadBytes);
  EXPECT_EQ(session.read(buffer), 0U);
}

TEST(CaptureSession, EndsByItselfAfterSoManyPackets) {
  CaptureSession session({interface("r1:eth0")}, {.max_packets = 3});
  TestFrame frame(pattern(60));
  show(session, Direction::from_port, {&frame.view(), &frame.view()});
  EXPECT_EQ(of_type(read_available(session), BlockType::enhanced_packet).size(), 2U);
  EXPECT_FALSE(session.finished());
  show(session, Direction::from_port, {&frame.view(), &frame.view(), &frame.view()});
  const auto blocks = read_available(session);
  EXPECT_EQ(of_type(blocks, BlockType::enhanced_packet).size(), 1U);
  EXPECT_EQ(of_type(blocks, BlockType::interface_statistics).size(), 1U);
  EXPECT_TRUE(session.finished());
  EXPECT_EQ(session.statistics(0).delivered, 3U);
  show(session, Direction::from_port, {&frame.view()});  // not even looked at any more
  EXPECT_EQ(session.statistics(0).received, 5U);
}

TEST(CaptureSession, ReadsWholeBlocksIntoTheSmallestBuffer) {
  CaptureSession session({interface("r1:eth0")}, {});
  TestFrame large(pattern(kMaxFrameBytes), 40);
  for (int i = 0; i < 5; ++i)
    show(session, Direction::from_port, {&large.view()});
  EXPECT_EQ(of_type(read_available(session, kMinReadBytes), BlockType::enhanced_packet).size(), 5U);
  Bytes too_short(kMinReadBytes - 1);
  EXPECT_THROW((void)session.read(too_short), std::invalid_argument);
}

TEST(CaptureSession, MergesWorkersByTime) {
  CaptureSession session({interface("r1:eth0", 0), interface("h1:eth1", 1)}, {});
  TestFrame first(pattern(60)), second(pattern(61)), third(pattern(62));
  show(session, Direction::from_port, {&first.view()}, 1);
  show(session, Direction::from_port, {&second.view()}, 0);
  show(session, Direction::from_port, {&third.view()}, 1);
  const auto packets = of_type(read_available(session), BlockType::enhanced_packet);
  ASSERT_EQ(packets.size(), 3U);
  EXPECT_EQ(packets[0].captured(), 60U);
  EXPECT_EQ(packets[1].captured(), 61U);
  EXPECT_EQ(packets[2].captured(), 62U);
}

bool readable(int fd) {
  pollfd event{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&event, 1, 0) == 1;
}

TEST(CaptureSession, WakesAnArmedWriterOnce) {
  CaptureSession session({interface("r1:eth0")}, {.filter = "udp"});
  TestFrame udp(ip_frame(17, 53)), tcp(ip_frame(6, 53));
  EXPECT_TRUE(session.arm());  // the preamble waits
  (void)read_available(session);
  show(session, Direction::from_port, {&udp.view()});
  EXPECT_FALSE(readable(session.wake_fd()));  // nobody asked
  EXPECT_TRUE(session.arm());
  (void)read_available(session);
  EXPECT_FALSE(session.arm());
  show(session, Direction::from_port, {&tcp.view()});
  EXPECT_FALSE(readable(session.wake_fd()));  // filtered out
  show(session, Direction::from_port, {&udp.view()});
  EXPECT_TRUE(readable(session.wake_fd()));
  (void)read_available(session);
  EXPECT_FALSE(session.arm());
  EXPECT_FALSE(readable(session.wake_fd()));
  session.stop();
  EXPECT_TRUE(readable(session.wake_fd()));
  EXPECT_TRUE(session.arm());
  (void)read_available(session);
  EXPECT_TRUE(session.finished());
}

TEST(CaptureSession, LosesNoWakeUpBetweenThreads) {
  constexpr std::uint64_t kBursts = 20'000;
  CaptureSession session({interface("r1:eth0", 0), interface("h1:eth1", 1)}, {});
  std::vector<std::thread> workers;
  for (std::size_t interface = 0; interface < 2; ++interface) {
    workers.emplace_back([&session, interface] {
      TestFrame frame(pattern(60));
      for (std::uint64_t i = 0; i < kBursts; ++i) {
        show(session, Direction::from_port, {&frame.view()}, interface);
        if (i % 64 == 0) std::this_thread::yield();
      }
    });
  }
  std::thread stopper([&] {
    for (std::thread& worker : workers)
      worker.join();
    session.stop();
  });
  Bytes buffer(kMinReadBytes);
  std::uint64_t packets = 0;
  while (!session.finished()) {
    while (const std::size_t bytes = session.read(buffer)) {
      packets += of_type(split(std::span(buffer).first(bytes)), BlockType::enhanced_packet).size();
    }
    if (session.finished() || session.arm()) continue;
    pollfd event{.fd = session.wake_fd(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(poll(&event, 1, 10'000), 1) << "a wake-up was lost";
  }
  stopper.join();
  const CaptureStatistics a = session.statistics(0), b = session.statistics(1);
  EXPECT_EQ(a.accepted + b.accepted, 2 * kBursts);
  EXPECT_EQ(a.delivered + a.dropped, kBursts);
  EXPECT_EQ(b.delivered + b.dropped, kBursts);
  EXPECT_EQ(packets, a.delivered + b.delivered);
}

}  // namespace
}  // namespace patchbay::vswitch::capture
