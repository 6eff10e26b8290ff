#include "devices/pci/config_space.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace patchbay::devices::pci {
namespace {

template <typename T>
T read(const ConfigSpace& space, std::uint32_t offset) {
  T value{};
  space.read(offset, std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

template <typename T>
void write(ConfigSpace& space, std::uint32_t offset, T value) {
  space.write(offset, std::as_bytes(std::span(&value, 1)));
}

TEST(ConfigSpace, OnlyWritableBitsChange) {
  ConfigSpace space;
  space.set<std::uint32_t>(0x10, 0x1234'5678);
  space.set_writable<std::uint32_t>(0x10, 0xFFFF'0000);
  write<std::uint32_t>(space, 0x10, 0xAAAA'AAAA);
  EXPECT_EQ(read<std::uint32_t>(space, 0x10), 0xAAAA'5678U);
}

TEST(ConfigSpace, AccessesOfAnyWidthAndAlignmentSeeTheSameBytes) {
  ConfigSpace space;
  space.set<std::uint32_t>(0, 0x4433'2211);
  space.set<std::uint32_t>(4, 0x8877'6655);
  EXPECT_EQ(read<std::uint8_t>(space, 3), 0x44);
  EXPECT_EQ(read<std::uint16_t>(space, 1), 0x3322);
  EXPECT_EQ(read<std::uint32_t>(space, 3), 0x7766'5544U);
  EXPECT_EQ(read<std::uint64_t>(space, 0), 0x8877'6655'4433'2211U);
  space.set_writable<std::uint32_t>(0, 0xFFFF'FFFF);
  write<std::uint16_t>(space, 3, 0xEEEE);  // the second byte is read-only
  EXPECT_EQ(read<std::uint64_t>(space, 0), 0x8877'6655'EE33'2211U);
}

TEST(ConfigSpace, OutsideReadsAsOnesAndIgnoresWrites) {
  ConfigSpace space;
  EXPECT_EQ(read<std::uint32_t>(space, 4096), 0xFFFF'FFFFU);
  EXPECT_EQ(read<std::uint32_t>(space, 0xFFFF'FFFF), 0xFFFF'FFFFU);
  EXPECT_EQ(read<std::uint32_t>(space, 4094), 0xFFFF'0000U);
  space.set_writable<std::uint16_t>(4094, 0xFFFF);
  write<std::uint64_t>(space, 4094, 0x1111'1111'1111'1111);
  EXPECT_EQ(read<std::uint16_t>(space, 4094), 0x1111);
}

TEST(ConfigSpace, CapabilitiesFormAList) {
  ConfigSpace space;
  EXPECT_EQ(read<std::uint16_t>(space, kStatus) & kStatusCapabilitiesList, 0);
  const std::byte body[] = {std::byte{0xAA}, std::byte{0xBB}, std::byte{0xCC}};
  const std::byte writable[] = {std::byte{0x0F}};
  EXPECT_EQ(space.add_capability(0x09, body, writable), 0x40);
  EXPECT_EQ(space.add_capability(0x11, body, {}), 0x48) << "aligned to four";
  EXPECT_EQ(read<std::uint8_t>(space, kCapabilitiesPointer), 0x40);
  EXPECT_EQ(read<std::uint32_t>(space, 0x40), 0xBBAA'4809U);
  EXPECT_EQ(read<std::uint16_t>(space, 0x48), 0x0011) << "the last one";
  EXPECT_NE(read<std::uint16_t>(space, kStatus) & kStatusCapabilitiesList, 0);
  write<std::uint8_t>(space, 0x42, 0xFF);
  EXPECT_EQ(read<std::uint8_t>(space, 0x42), 0xAF);
  write<std::uint8_t>(space, 0x41, 0xFF);
  EXPECT_EQ(read<std::uint8_t>(space, 0x41), 0x48) << "the link is read-only";
}

TEST(ConfigSpace, TooManyCapabilitiesAreRejected) {
  ConfigSpace space;
  const std::array<std::byte, 62> body{};
  space.add_capability(9, body, {});
  space.add_capability(9, body, {});
  space.add_capability(9, body, {});
  EXPECT_THROW(space.add_capability(9, body, {}), std::logic_error);
}

TEST(ConfigSpace, PowerOnStateComesBack) {
  ConfigSpace space;
  space.set_writable<std::uint8_t>(0x3C, 0xFF);
  space.set<std::uint8_t>(0x3C, 5);
  space.set_power_on_state();
  write<std::uint8_t>(space, 0x3C, 9);
  space.restore_power_on_state();
  EXPECT_EQ(read<std::uint8_t>(space, 0x3C), 5);
}

}  // namespace
}  // namespace patchbay::devices::pci
