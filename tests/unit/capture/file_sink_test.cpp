#include "tools/capture/file_sink.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "tests/unit/capture/test_frame.h"

namespace patchbay::tools {
namespace {

using vswitch::capture::pattern;
using Bytes = std::vector<std::byte>;

Bytes preamble() {
  Bytes bytes;
  vswitch::capture::append(bytes, vswitch::capture::SectionHeader{});
  vswitch::capture::InterfaceDescription interface;
  interface.name = "r1:eth0";
  append(bytes, interface);
  return bytes;
}

Bytes packet(std::size_t length) {
  vswitch::capture::EnhancedPacket packet;
  packet.captured_length = packet.original_length = static_cast<std::uint32_t>(length);
  Bytes bytes;
  append(bytes, packet, pattern(length));
  return bytes;
}

Bytes statistics(std::uint64_t dropped) {
  vswitch::capture::InterfaceStatistics statistics;
  statistics.dropped = dropped;
  Bytes bytes;
  append(bytes, statistics);
  return bytes;
}

Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts)
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

class FileSinkTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "file_sink.XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  [[nodiscard]] std::string path(const char* name) const { return (directory_ / name).string(); }
  [[nodiscard]] Bytes content(const char* name) const {
    std::ifstream file(path(name), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
  }
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  std::filesystem::path directory_;
};

TEST_F(FileSinkTest, WritesTheStreamAndReportsItsEnd) {
  FileSink sink({.path = path("x.pcapng")});
  const Bytes stream = joined({preamble(), packet(60), packet(1500), statistics(3)});
  sink.consume(stream);
  sink.finish();
  EXPECT_EQ(content("x.pcapng"), stream);
  EXPECT_TRUE(sink.complete());
  EXPECT_EQ(sink.packets(), 2U);
  EXPECT_EQ(sink.dropped(), 3U);
  EXPECT_EQ(sink.discarded_bytes(), 0U);
}

TEST_F(FileSinkTest, HasOnlyWholeBlocksInTheFileAtAnyTime) {
  const Bytes stream = joined({preamble(), packet(60), packet(61)});
  const std::size_t first = preamble().size(), second = first + packet(60).size();
  FileSink sink({.path = path("x.pcapng")});
  for (std::size_t i = 0; i < stream.size(); ++i) {
    sink.consume(std::span(stream).subspan(i, 1));
    const std::size_t size = content("x.pcapng").size();
    const std::size_t arrived = i + 1;
    if (arrived < first) continue;  // the interface's block comes whole or not at all, too
    EXPECT_EQ(size, arrived < second ? first : arrived < stream.size() ? second : stream.size()) << arrived;
  }
  EXPECT_EQ(content("x.pcapng"), stream);
}

TEST_F(FileSinkTest, DropsABlockThatTheEngineCouldNotFinish) {
  std::array<int, 2> ends{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
  const Bytes whole = joined({preamble(), packet(60)});
  Bytes stream = joined({whole, packet(1000)});
  stream.erase(stream.end() - 7, stream.end());
  ASSERT_EQ(write(ends[0], stream.data(), stream.size()), static_cast<ssize_t>(stream.size()));
  close(ends[0]);
  FileSink sink({.path = path("x.pcapng")});
  while (sink.read_from(ends[1])) {
  }
  sink.finish();
  close(ends[1]);
  EXPECT_EQ(content("x.pcapng"), whole);
  EXPECT_FALSE(sink.complete());
  EXPECT_EQ(sink.packets(), 1U);
  EXPECT_EQ(sink.discarded_bytes(), packet(1000).size() - 7);
}

TEST_F(FileSinkTest, FindsNothingOnAnEmptyNonBlockingDescriptor) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_NONBLOCK), 0);
  FileSink sink({.path = path("x.pcapng")});
  EXPECT_TRUE(sink.read_from(ends[0]));
  close(ends[1]);
  EXPECT_FALSE(sink.read_from(ends[0]));
  close(ends[0]);
}

TEST_F(FileSinkTest, KeepsARingOfFilesThatAreCompleteInThemselves) {
  const std::uint64_t two_packets = preamble().size() + 2 * packet(100).size();
  FileSink sink({.path = path("x.pcapng"), .file_bytes = two_packets, .files = 2});
  sink.consume(preamble());
  for (int i = 0; i < 7; ++i)
    sink.consume(packet(100));
  sink.finish();
  EXPECT_THAT(files(), testing::ElementsAre("x_00003.pcapng", "x_00004.pcapng"));
  EXPECT_EQ(content("x_00003.pcapng"), joined({preamble(), packet(100), packet(100)}));
  EXPECT_EQ(content("x_00004.pcapng"), joined({preamble(), packet(100)}));
  EXPECT_EQ(sink.path(), path("x_00004.pcapng"));
}

TEST_F(FileSinkTest, SplitsOneReadOverSeveralFiles) {
  FileSink sink({.path = path("dump"), .file_bytes = preamble().size() + packet(100).size()});
  sink.consume(joined({preamble(), packet(100), packet(100), packet(100)}));
  EXPECT_THAT(files(), testing::ElementsAre("dump_00001", "dump_00002", "dump_00003"));
  for (const char* name : {"dump_00001", "dump_00002", "dump_00003"}) {
    EXPECT_EQ(content(name), joined({preamble(), packet(100)})) << name;
  }
}

TEST_F(FileSinkTest, PutsAPacketLargerThanAFileIntoOneOfItsOwn) {
  FileSink sink({.path = path("x.pcapng"), .file_bytes = 1});
  sink.consume(joined({preamble(), packet(100), packet(200)}));
  EXPECT_EQ(content("x_00001.pcapng"), joined({preamble(), packet(100)}));
  EXPECT_EQ(content("x_00002.pcapng"), joined({preamble(), packet(200)}));
}

TEST_F(FileSinkTest, WritesWhatCameBeforeDamage) {
  FileSink sink({.path = path("x.pcapng")});
  const Bytes good = joined({preamble(), packet(60)});
  EXPECT_THROW(sink.consume(joined({good, vswitch::capture::to_bytes({6, 0, 0, 0, 3, 0, 0, 0})})),
               StreamError);
  EXPECT_EQ(content("x.pcapng"), good);
}

TEST_F(FileSinkTest, SaysWhyAFileCannotBeOpened) {
  try {
    FileSink sink({.path = path("none/x.pcapng")});
    FAIL() << "opened a file in a directory that does not exist";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
    EXPECT_THAT(error.what(), testing::HasSubstr("cannot open " + path("none/x.pcapng")));
  }
}

TEST_F(FileSinkTest, SaysThatTheDiskIsFull) {
  if (access("/dev/full", W_OK) != 0) GTEST_SKIP() << "/dev/full is missing";
  FileSink sink({.path = "/dev/full"});
  try {
    sink.consume(preamble());
    FAIL() << "wrote to a full device";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::no_space_on_device);
  }
}

TEST_F(FileSinkTest, RefusesARingOnStandardOutput) {
  EXPECT_THROW(FileSink({.path = "-", .file_bytes = 1000}), std::runtime_error);
}

}  // namespace
}  // namespace patchbay::tools
