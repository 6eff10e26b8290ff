#include "vmm/pvh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "elf_builder.h"
#include "vmm/guest_ram.h"
#include "vmm/memory_map.h"

namespace patchbay::vmm {
namespace {

using testing::HasSubstr;

template <typename T>
T peek(const devices::GuestMemory& memory, std::uint64_t address) {
  T value{};
  std::memcpy(&value, memory.translate(address, sizeof value), sizeof value);
  return value;
}

std::string text_at(const devices::GuestMemory& memory, std::uint64_t address) {
  return reinterpret_cast<const char*>(memory.translate(address, 1));
}

std::string error_of(const ElfBuilder& kernel, const devices::GuestMemory& memory,
                     const std::string& command_line = "", const std::vector<BootModule>& modules = {}) {
  try {
    (void)load_pvh(ElfImage::parse(kernel.build()), memory, command_line, modules);
  } catch (const ImageError& error) {
    return error.what();
  }
  return "accepted";
}

class PvhTest : public testing::Test {
 protected:
  GuestRam ram_{4 * kMiB, HugePages::never};
  const devices::GuestMemory& memory_ = ram_.view();
};

TEST_F(PvhTest, StartInfoDescribesEverything) {
  std::vector<BootModule> modules{{std::vector<std::byte>(5000, std::byte{0xAB}), "first"},
                                  {std::vector<std::byte>(1, std::byte{0xCD}), ""}};
  *memory_.translate(0x10'0000 + 20, 1) = std::byte{1};  // dirt where the kernel's zeros go
  const PvhEntry entry =
      load_pvh(ElfImage::parse(ElfBuilder().build()), memory_, "console=0x3f8", modules, 0xE1234);
  EXPECT_EQ(entry.instruction_pointer, 0x10'0000U);
  EXPECT_EQ(*memory_.translate(0x10'0000, 1), std::byte{0x90});
  EXPECT_EQ(*memory_.translate(0x10'0000 + 20, 1), std::byte{0});

  const std::uint64_t info = entry.start_info;
  EXPECT_EQ(peek<std::uint32_t>(memory_, info), 0x336E'C578U);
  EXPECT_EQ(peek<std::uint32_t>(memory_, info + 4), 1U);
  ASSERT_EQ(peek<std::uint32_t>(memory_, info + 12), 2U);
  EXPECT_EQ(text_at(memory_, peek<std::uint64_t>(memory_, info + 24)), "console=0x3f8");
  EXPECT_EQ(peek<std::uint64_t>(memory_, info + 32), 0xE1234U);

  const auto list = peek<std::uint64_t>(memory_, info + 16);
  const auto first = peek<std::uint64_t>(memory_, list);
  EXPECT_EQ(first, 4 * kMiB - 2 * kPageBytes);
  EXPECT_EQ(peek<std::uint64_t>(memory_, list + 8), 5000U);
  EXPECT_EQ(text_at(memory_, peek<std::uint64_t>(memory_, list + 16)), "first");
  EXPECT_EQ(*memory_.translate(first + 4999, 1), std::byte{0xAB});
  const auto second = peek<std::uint64_t>(memory_, list + 32);
  EXPECT_EQ(second, 4 * kMiB - 3 * kPageBytes);
  EXPECT_EQ(*memory_.translate(second, 1), std::byte{0xCD});

  const auto map = peek<std::uint64_t>(memory_, info + 40);
  ASSERT_EQ(peek<std::uint32_t>(memory_, info + 48), 4U);
  EXPECT_EQ(peek<std::uint64_t>(memory_, map + 2 * 24), kMiB);
  EXPECT_EQ(peek<std::uint64_t>(memory_, map + 2 * 24 + 8), 3 * kMiB);
  EXPECT_EQ(peek<std::uint32_t>(memory_, map + 2 * 24 + 16), 1U) << "RAM";
  EXPECT_EQ(peek<std::uint64_t>(memory_, map + 3 * 24), kEcamStart);
  EXPECT_EQ(peek<std::uint32_t>(memory_, map + 3 * 24 + 16), 2U) << "reserved";
}

TEST_F(PvhTest, TaskStateAllowsEveryPort) {
  (void)load_pvh(ElfImage::parse(ElfBuilder().build()), memory_, "", {});
  const auto bitmap = peek<std::uint16_t>(memory_, kTaskState + 102);
  for (std::uint64_t byte = 0; byte < 8192; ++byte) {
    ASSERT_EQ(*memory_.translate(kTaskState + bitmap + byte, 1), std::byte{0});
  }
  EXPECT_EQ(*memory_.translate(kTaskState + bitmap + 8192, 1), std::byte{0xFF});
}

TEST_F(PvhTest, WhatDoesNotFitIsAnError) {
  ElfBuilder no_note;
  no_note.note_body.type = 0;
  EXPECT_THAT(error_of(no_note, memory_), HasSubstr("CONFIG_PVH"));
  ElfBuilder outside;
  outside.load.p_paddr = 1ULL << 40;
  EXPECT_THAT(error_of(outside, memory_), HasSubstr("more memory"));
  ElfBuilder half_outside;
  half_outside.load.p_paddr = 4 * kMiB - 16;
  EXPECT_THAT(error_of(half_outside, memory_), HasSubstr("more memory"));
  ElfBuilder huge;
  huge.load.p_memsz = 1ULL << 62;
  EXPECT_THAT(error_of(huge, memory_), HasSubstr("more memory"));
  ElfBuilder low;
  low.load.p_paddr = kBootInfoStart + 8;
  EXPECT_THAT(error_of(low, memory_), HasSubstr("boot information"));
  ElfBuilder on_task_state;
  on_task_state.load.p_paddr = kTaskState;
  EXPECT_THAT(error_of(on_task_state, memory_), HasSubstr("boot information"));
  EXPECT_THAT(error_of({}, memory_, std::string(kMiB, 'x')), HasSubstr("command line"));
  EXPECT_THAT(error_of({}, memory_, "", {{std::vector<std::byte>(4 * kMiB), ""}}), HasSubstr("boot module"));
  EXPECT_THAT(error_of({}, memory_, "", {{std::vector<std::byte>(3 * kMiB), ""}}), HasSubstr("boot module"))
      << "on top of the kernel";
  EXPECT_THAT(error_of({}, devices::GuestMemory()), HasSubstr("more memory"));
}

}  // namespace
}  // namespace patchbay::vmm
