#include "tools/capture/block_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/capture/test_frame.h"

namespace patchbay::tools {
namespace {

using vswitch::capture::append;
using vswitch::capture::BlockType;
using vswitch::capture::to_bytes;

void feed(BlockStream& stream, std::span<const std::byte> bytes) {
  std::copy(bytes.begin(), bytes.end(), stream.prepare(bytes.size()).begin());
  stream.commit(bytes.size());
}

std::vector<std::byte> section() {
  std::vector<std::byte> bytes;
  append(bytes, vswitch::capture::SectionHeader{});
  return bytes;
}

std::string error_of(std::vector<std::byte> bytes) {
  BlockStream stream;
  feed(stream, bytes);
  try {
    while (!stream.next().bytes.empty()) {
    }
  } catch (const StreamError& error) {
    return error.what();
  }
  return "no error";
}

TEST(BlockStream, YieldsBlocksHoweverTheyArrive) {
  std::vector<std::byte> bytes = section();
  append(bytes, vswitch::capture::InterfaceDescription{});
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    BlockStream stream;
    std::vector<std::size_t> lengths;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      feed(stream, std::span(bytes).subspan(at, std::min(step, bytes.size() - at)));
      for (;;) {
        const BlockStream::Block block = stream.next();
        if (block.bytes.empty()) break;
        lengths.push_back(block.bytes.size());
      }
    }
    EXPECT_THAT(lengths, testing::ElementsAre(28, 32)) << step;
    EXPECT_EQ(stream.partial_bytes(), 0U);
  }
}

TEST(BlockStream, KeepsWhatIsNotWhole) {
  BlockStream stream;
  const std::vector<std::byte> bytes = section();
  feed(stream, std::span(bytes).first(27));
  EXPECT_TRUE(stream.next().bytes.empty());
  EXPECT_EQ(stream.partial_bytes(), 27U);
}

TEST(BlockStream, RefusesWhatIsNoPcapng) {
  EXPECT_THAT(error_of(to_bytes({'{', '"', 'o', 'k', '"', ':', '1', '}'})),
              testing::StartsWith("the capture stream does not start as pcapng"));
}

TEST(BlockStream, RefusesImpossibleLengths) {
  for (const int length : {0, 8, 13, 30}) {
    std::vector<std::byte> bytes = section();
    const auto block = to_bytes({6, 0, 0, 0, length, 0, 0, 0, 0, 0, 0, 0});
    bytes.insert(bytes.end(), block.begin(), block.end());
    EXPECT_EQ(error_of(bytes), "the capture stream is damaged: a block claims " + std::to_string(length) +
                                   " bytes; start the capture again");
  }
  std::vector<std::byte> bytes = section();
  const auto block = to_bytes({6, 0, 0, 0, 4, 0, 0x10, 0});  // 1 MiB + 4
  bytes.insert(bytes.end(), block.begin(), block.end());
  EXPECT_THAT(error_of(bytes), testing::HasSubstr("claims 1048580 bytes"));
}

TEST(BlockStream, RefusesLengthsThatDiffer) {
  std::vector<std::byte> bytes = section();
  bytes[24] = std::byte{32};
  EXPECT_THAT(error_of(bytes), testing::HasSubstr("begins with length 28 and ends with 32"));
}

}  // namespace
}  // namespace patchbay::tools
