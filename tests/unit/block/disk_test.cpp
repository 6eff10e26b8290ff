// The media behind block devices: raw images and copy-on-write overlays, compared with a plain array of
// bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "devices/block/overlay_disk.h"
#include "devices/block/raw_disk.h"
#include "tests/unit/block/temporary_image.h"

namespace patchbay::devices::block {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryImage;

constexpr std::size_t kImageBytes = 64 * 1024 + 1536;  // ends inside a block of the overlay

/// Cuts a buffer into pieces of odd sizes.
std::vector<iovec> pieces_of(std::string& data, std::size_t portion) {
  std::vector<iovec> pieces;
  for (std::size_t at = 0; at < data.size(); at += portion)
    pieces.push_back({data.data() + at, std::min(portion, data.size() - at)});
  return pieces;
}

std::string read(Disk& disk, std::uint64_t offset, std::size_t bytes, std::size_t portion = 700) {
  std::string data(bytes, '?');
  auto pieces = pieces_of(data, portion);
  EXPECT_EQ(disk.read(offset, pieces), 0);
  return data;
}

void write(Disk& disk, std::uint64_t offset, std::string data, std::size_t portion = 700) {
  auto pieces = pieces_of(data, portion);
  EXPECT_EQ(disk.write(offset, pieces), 0);
}

template <typename Open>
std::string refusal(Open open) {
  try {
    open();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

TEST(RawDisk, WritesInPlace) {
  const TemporaryImage image(4096);
  RawDisk disk(image.path(), false);
  EXPECT_EQ(disk.size(), 4096U);
  write(disk, 512, std::string(1024, 'x'));
  EXPECT_EQ(disk.flush(), 0);
  EXPECT_EQ(image.content(), std::string(512, 'b') + std::string(1024, 'x') + std::string(2560, 'b'));
}

TEST(RawDisk, ZeroesAndDiscards) {
  const TemporaryImage image(16384);
  RawDisk disk(image.path(), false);
  EXPECT_EQ(disk.write_zeroes(512, 512, false), 0);
  EXPECT_EQ(disk.write_zeroes(4096, 4096, true), 0);
  EXPECT_EQ(disk.discard(8192, 4096), 0);
  EXPECT_EQ(read(disk, 512, 512), std::string(512, '\0'));
  EXPECT_EQ(read(disk, 4096, 4096), std::string(4096, '\0'));
  EXPECT_EQ(read(disk, 1024, 3072), std::string(3072, 'b'));
}

TEST(RawDisk, RefusesWhatIsNoRawImage) {
  EXPECT_THAT(refusal([] { RawDisk("/tmp/patchbay-no-such-image", true); }), HasSubstr("No such file"));
  EXPECT_THAT(refusal([] { RawDisk("/tmp", true); }), HasSubstr("neither a file nor a block device"));
  const TemporaryImage odd(1000);
  EXPECT_THAT(refusal([&] { RawDisk(odd.path(), true); }), HasSubstr("truncate -s %512"));
  const TemporaryImage empty(0);
  EXPECT_THAT(refusal([&] { RawDisk(empty.path(), true); }), HasSubstr("it is empty"));
  const TemporaryImage foreign(512);
  std::ofstream(foreign.path(), std::ios::in | std::ios::binary) << "QFI\xfb";
  EXPECT_THAT(refusal([&] { RawDisk(foreign.path(), true); }), HasSubstr("qemu-img convert"));
}

TEST(RawDisk, HasOneWriterOrManyReaders) {
  const TemporaryImage image(4096);
  {
    const RawDisk writer(image.path(), false);
    EXPECT_THAT(refusal([&] { RawDisk(image.path(), false); }), HasSubstr("in use"));
    EXPECT_THAT(refusal([&] { OverlayDisk(image.path(), "/tmp"); }), HasSubstr("writes to it"));
  }
  const RawDisk reader(image.path(), true);
  const OverlayDisk other(image.path(), "/tmp");
  EXPECT_THAT(refusal([&] { RawDisk(image.path(), false); }), HasSubstr("in use"));
}

TEST(OverlayDisk, LeavesItsBaseAlone) {
  const TemporaryImage base(kImageBytes);
  const std::string before = base.content();
  OverlayDisk one(base.path(), "/tmp");
  OverlayDisk two(base.path(), "/tmp");
  write(one, 4096, std::string(8192, '1'));
  write(two, 512, std::string(512, '2'));
  EXPECT_EQ(one.discard(0, kImageBytes), 0);
  EXPECT_EQ(read(two, 0, 1536), std::string(512, 'b') + std::string(512, '2') + std::string(512, 'b'));
  EXPECT_EQ(base.content(), before);
}

TEST(OverlayDisk, BehavesLikeAnArrayOfBytes) {
  const TemporaryImage base(kImageBytes);
  OverlayDisk disk(base.path(), "/tmp");
  std::string model(kImageBytes, 'b');
  std::mt19937 random(1);
  for (int step = 0; step < 3000; ++step) {
    const std::size_t sector = random() % (kImageBytes / kSectorBytes);
    const std::size_t sectors = 1 + random() % std::min<std::size_t>(40, kImageBytes / kSectorBytes - sector);
    const std::size_t offset = sector * kSectorBytes;
    const std::size_t bytes = sectors * kSectorBytes;
    switch (random() % 4) {
      case 0:
        model.replace(offset, bytes, bytes, static_cast<char>('A' + step % 26));
        write(disk, offset, model.substr(offset, bytes), 1 + random() % 3000);
        break;
      case 1:
        model.replace(offset, bytes, bytes, '\0');
        EXPECT_EQ(disk.write_zeroes(offset, bytes, step % 2 == 0), 0);
        break;
      case 2: {
        // What is discarded reads as zeros where whole blocks are, as before elsewhere.
        const std::size_t from = (offset + 4095) / 4096 * 4096;
        const std::size_t to = (offset + bytes) / 4096 * 4096;
        if (from < to) model.replace(from, to - from, to - from, '\0');
        EXPECT_EQ(disk.discard(offset, bytes), 0);
        break;
      }
      default:
        ASSERT_EQ(read(disk, offset, bytes, 1 + random() % 3000), model.substr(offset, bytes))
            << "step " << step;
        break;
    }
  }
  EXPECT_EQ(read(disk, 0, kImageBytes), model);
}

TEST(OverlayDisk, SaysWhereTheOverlayCannotBe) {
  const TemporaryImage base(4096);
  EXPECT_THAT(refusal([&] { OverlayDisk(base.path(), "/tmp/patchbay-no-such-folder"); }),
              HasSubstr("copy-on-write overlay"));
}

}  // namespace
}  // namespace patchbay::devices::block
