#include "vmm/elf_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "elf_builder.h"

namespace patchbay::vmm {
namespace {

using testing::HasSubstr;

std::string error_of(const std::vector<std::byte>& file) {
  try {
    (void)ElfImage::parse(file);
  } catch (const ImageError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(ElfImage, ParsesSegmentsAndEntry) {
  const ElfImage image = ElfImage::parse(ElfBuilder().build());
  ASSERT_EQ(image.segments().size(), 1U);
  EXPECT_EQ(image.segments()[0].physical_address, 0x10'0000U);
  EXPECT_EQ(image.segments()[0].memory_bytes, 32U);
  EXPECT_EQ(image.segments()[0].file.size(), 16U);
  EXPECT_EQ(image.segments()[0].file[0], std::byte{0x90});
  EXPECT_EQ(image.pvh_entry(), 0x10'0000U);
}

TEST(ElfImage, SegmentsStayValidWhenTheImageMoves) {
  ElfImage first = ElfImage::parse(ElfBuilder().build());
  const ElfImage second = std::move(first);
  EXPECT_EQ(second.segments()[0].file[15], std::byte{0x90});
}

TEST(ElfImage, EveryTruncationIsAnErrorOrHarmless) {
  const std::vector<std::byte> whole = ElfBuilder().build();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THAT(error_of({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)}),
                HasSubstr("outside"))
        << length;
  }
}

TEST(ElfImage, RejectsWhatIsNoX86Executable) {
  EXPECT_THAT(error_of(std::vector<std::byte>(64)), HasSubstr("nor an ELF file"));
  ElfBuilder big;
  big.header.e_ident[EI_DATA] = ELFDATA2MSB;
  EXPECT_THAT(error_of(big.build()), HasSubstr("big-endian"));
  ElfBuilder arm;
  arm.header.e_machine = EM_AARCH64;
  EXPECT_THAT(error_of(arm.build()), HasSubstr("another processor"));
  ElfBuilder odd;
  odd.header.e_ident[EI_CLASS] = 7;
  EXPECT_THAT(error_of(odd.build()), HasSubstr("unknown class"));
  ElfBuilder object;
  object.load.p_type = PT_NULL;
  EXPECT_THAT(error_of(object.build()), HasSubstr("no loadable segments"));
}

TEST(ElfImage, RejectsLyingHeaders) {
  ElfBuilder size;
  size.header.e_phentsize = 55;
  EXPECT_THAT(error_of(size.build()), HasSubstr("unknown size"));
  ElfBuilder count;
  count.header.e_phnum = 0xFFFF;
  EXPECT_THAT(error_of(count.build()), HasSubstr("program headers"));
  for (const std::uint64_t offset : {std::uint64_t{1} << 40, ~std::uint64_t{0}, ~std::uint64_t{0} - 55}) {
    ElfBuilder headers;
    headers.header.e_phoff = offset;
    EXPECT_NE(error_of(headers.build()), "accepted");
    ElfBuilder segment;
    segment.load.p_offset = offset;
    EXPECT_THAT(error_of(segment.build()), HasSubstr("outside"));
    ElfBuilder note;
    note.note.p_offset = offset;
    EXPECT_THAT(error_of(note.build()), HasSubstr("outside"));
  }
  ElfBuilder larger;
  larger.load.p_memsz = 8;
  EXPECT_THAT(error_of(larger.build()), HasSubstr("larger in the file"));
  ElfBuilder wraps;
  wraps.load.p_paddr = ~std::uint64_t{0} - 8;
  EXPECT_THAT(error_of(wraps.build()), HasSubstr("wraps"));
}

TEST(ElfImage, BadNotesMeanNoEntry) {
  ElfBuilder type;
  type.note_body.type = 17;
  EXPECT_EQ(ElfImage::parse(type.build()).pvh_entry(), std::nullopt);
  ElfBuilder owner;
  owner.note_body.name[0] = 'Y';
  EXPECT_EQ(ElfImage::parse(owner.build()).pvh_entry(), std::nullopt);
  for (const std::uint32_t length : {0U, 3U, 5U, 0xFFFF'FFFFU}) {
    ElfBuilder value;
    value.note_body.value_bytes = length;
    EXPECT_EQ(ElfImage::parse(value.build()).pvh_entry(), std::nullopt) << length;
    ElfBuilder name;
    name.note_body.name_bytes = length;
    EXPECT_EQ(ElfImage::parse(name.build()).pvh_entry(), std::nullopt) << length;
  }
}

TEST(ElfImage, MissingFileIsNamed) {
  try {
    (void)ElfImage::load("/nonexistent/kernel");
    FAIL();
  } catch (const ImageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("/nonexistent/kernel"));
  }
  EXPECT_THROW((void)ElfImage::load("/"), ImageError);
}

}  // namespace
}  // namespace patchbay::vmm
