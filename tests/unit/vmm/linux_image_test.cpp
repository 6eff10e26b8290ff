#include "vmm/kernel/linux_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bzimage_builder.h"
#include "elf_builder.h"
#include "vmm/kernel/decompress.h"

namespace patchbay::vmm {
namespace {

using testing::HasSubstr;

/// An ELF executable of some 100 KiB that does not compress to nothing, with x86 calls for the BCJ filter.
ElfBuilder kernel() {
  ElfBuilder elf;
  elf.code.resize(100'000);
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < elf.code.size(); ++i) {
    state = state * 1'664'525 + 1'013'904'223;
    elf.code[i] = i % 16 == 0 ? std::byte{0xE8} : i % 3 == 0 ? static_cast<std::byte>(state >> 24) : std::byte{0};
  }
  elf.load.p_filesz = elf.code.size();
  elf.load.p_memsz = elf.code.size();
  return elf;
}

std::string error_of_kernel(const Bytes& file) {
  try {
    (void)parse_kernel(file, "test");
  } catch (const ImageError& error) {
    return error.what();
  }
  return "accepted";
}

struct Case {
  const char* name;
  Bytes (*compress)(const Bytes&);
};

class BzImageTest : public testing::TestWithParam<Case> {};

TEST_P(BzImageTest, PayloadIsTheKernel) {
  const ElfBuilder elf = kernel();
  for (const std::uint8_t sectors : {std::uint8_t{0}, std::uint8_t{27}}) {
    BzImageBuilder image;
    image.setup_sectors = sectors;
    image.payload = GetParam().compress(elf.build());
    EXPECT_STREQ(compression_of(image.payload), GetParam().name);
    const ElfImage parsed = parse_kernel(image.build(), "test");
    ASSERT_EQ(parsed.segments().size(), 1U);
    EXPECT_TRUE(std::ranges::equal(parsed.segments()[0].file, elf.code));
    EXPECT_EQ(parsed.pvh_entry(), 0x10'0000U);
  }
}

TEST_P(BzImageTest, TruncatedPayloadIsNamed) {
  BzImageBuilder image;
  image.payload = GetParam().compress(kernel().build());
  image.payload.erase(image.payload.begin() + static_cast<std::ptrdiff_t>(image.payload.size() / 2),
                      image.payload.end() - 4);
  EXPECT_THAT(error_of_kernel(image.build()),
              HasSubstr(std::string("payload (") + GetParam().name + ") cannot be unpacked"));
}

TEST_P(BzImageTest, ChangedPayloadNeverCrashes) {
  BzImageBuilder image;
  image.payload = GetParam().compress(kernel().build());
  for (std::size_t at = 7; at < image.payload.size(); at += 997) {
    BzImageBuilder changed = image;
    changed.payload[at] ^= std::byte{0x55};
    (void)error_of_kernel(changed.build());
  }
}

TEST_P(BzImageTest, WrongSizeIsAnError) {
  for (const std::uint32_t size : {0U, 1U, 99'000U, 200'000U, 0xFFFF'FFFFU}) {
    BzImageBuilder image;
    image.payload = GetParam().compress(kernel().build());
    std::memcpy(image.payload.data() + image.payload.size() - 4, &size, 4);
    EXPECT_THAT(error_of_kernel(image.build()), HasSubstr("cannot be unpacked")) << size;
  }
}

INSTANTIATE_TEST_SUITE_P(Compressions, BzImageTest,
                         testing::Values(Case{"gzip", gzip}, Case{"XZ", xz}, Case{"LZMA", lzma},
                                         Case{"LZ4", [](const Bytes& data) { return lz4(data, 30'000); }},
                                         Case{"Zstandard", zstd}),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST(LinuxImageTest, ElfIsTakenAsItIs) {
  const ElfImage parsed = parse_kernel(ElfBuilder().build(), "test");
  EXPECT_EQ(parsed.segments().size(), 1U);
}

TEST(LinuxImageTest, OtherFilesAreNamed) {
  EXPECT_THAT(error_of_kernel(Bytes(4096)), HasSubstr("neither a bzImage nor an ELF file"));
  EXPECT_THAT(error_of_kernel({}), HasSubstr("outside the file"));
  EXPECT_FALSE(is_bzimage(Bytes(0x24F)));
}

TEST(LinuxImageTest, PayloadOutsideTheFile) {
  BzImageBuilder image;
  image.payload = gzip(kernel().build());
  image.payload_length_change = 1000;
  EXPECT_THAT(error_of_kernel(image.build()), HasSubstr("is it truncated?"));
  image.payload_length_change = 0;
  Bytes file = image.build();
  const std::uint32_t far = 0xFFFF'FFFF;
  std::memcpy(file.data() + 0x248, &far, 4);
  EXPECT_THAT(error_of_kernel(file), HasSubstr("is it truncated?"));
}

TEST(LinuxImageTest, OldProtocolIsNamed) {
  BzImageBuilder image;
  image.payload = gzip(kernel().build());
  image.version = 0x0207;
  EXPECT_THAT(error_of_kernel(image.build()), HasSubstr("boot protocol 2.7"));
}

TEST(LinuxImageTest, UnknownCompressionIsNamed) {
  BzImageBuilder image;
  image.payload = Bytes(1000, std::byte{0x11});
  EXPECT_THAT(error_of_kernel(image.build()), HasSubstr("no compression that is known"));
  const char bzip2[] = "BZh91AY&SY";
  std::memcpy(image.payload.data(), bzip2, sizeof bzip2);
  EXPECT_THAT(error_of_kernel(image.build()),
              HasSubstr("(bzip2) cannot be unpacked: give the kernel's vmlinux"));
  image.payload.clear();
  EXPECT_THAT(error_of_kernel(image.build()), HasSubstr("no compression"));
}

}  // namespace
}  // namespace patchbay::vmm
