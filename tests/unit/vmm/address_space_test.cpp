#include "vmm/address_space.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace patchbay::vmm {
namespace {

using testing::ElementsAre;

class Recorder final : public PortDevice {
 public:
  void read(std::uint64_t offset, std::span<std::byte> data) noexcept override {
    offsets.push_back(offset);
    std::fill(data.begin(), data.end(), std::byte{0x42});
  }
  void write(std::uint64_t offset, std::span<const std::byte> data) noexcept override {
    offsets.push_back(offset);
    sizes.push_back(data.size());
  }
  std::vector<std::uint64_t> offsets;
  std::vector<std::size_t> sizes;
};

std::array<std::byte, 8> buffer;

TEST(AddressSpace, AccessesReachTheDeviceWithOffsets) {
  AddressSpace space;
  Recorder low;
  Recorder high;
  space.add_memory(0x2000, 0x1000, high, "high");
  space.add_memory(0x1000, 0x1000, low, "low");
  EXPECT_TRUE(space.read_memory(0x1000, buffer));
  EXPECT_TRUE(space.read_memory(0x1FF8, buffer));
  EXPECT_TRUE(space.write_memory(0x2004, std::span(buffer).first(4)));
  EXPECT_THAT(low.offsets, ElementsAre(0, 0xFF8));
  EXPECT_THAT(high.offsets, ElementsAre(4));
}

TEST(AddressSpace, UnclaimedReadsAreOnes) {
  AddressSpace space;
  Recorder device;
  space.add_memory(0x1000, 0x1000, device, "device");
  space.add_ports(0x3F8, 8, device, "ports");
  for (const std::uint64_t address : {0x0ULL, 0xFFFULL, 0x1FFCULL, 0x2000ULL, ~0ULL, ~0ULL - 7}) {
    buffer.fill(std::byte{0});
    EXPECT_FALSE(space.read_memory(address, buffer)) << address;
    EXPECT_THAT(buffer, testing::Each(std::byte{0xFF}));
    EXPECT_FALSE(space.write_memory(address, buffer));
  }
  EXPECT_FALSE(space.read_port(0x3F7, 1, std::span(buffer).first(1)));
  EXPECT_FALSE(space.read_port(0x3FF, 2, std::span(buffer).first(2))) << "half outside";
  EXPECT_FALSE(space.write_port(0xFFFF, 4, std::span(buffer).first(4)));
  EXPECT_TRUE(device.offsets.empty());
}

TEST(AddressSpace, OverlapsAreRejected) {
  AddressSpace space;
  Recorder device;
  space.add_memory(0x1000, 0x1000, device, "first");
  EXPECT_THROW(space.add_memory(0x1FFF, 1, device, "tail"), std::logic_error);
  EXPECT_THROW(space.add_memory(0, 0x1001, device, "head"), std::logic_error);
  EXPECT_THROW(space.add_memory(0x1100, 0x10, device, "inside"), std::logic_error);
  EXPECT_THROW(space.add_memory(0, 0x10000, device, "around"), std::logic_error);
  EXPECT_THROW(space.add_memory(0x5000, 0, device, "empty"), std::logic_error);
  EXPECT_THROW(space.add_memory(~0ULL, 2, device, "wraps"), std::logic_error);
  EXPECT_THROW(space.add_ports(0xFFFF, 2, device, "ports"), std::logic_error);
  space.add_memory(0x2000, 0x1000, device, "behind");
  space.add_memory(0, 0x1000, device, "before");
  space.add_memory(~0ULL, 1, device, "last byte");
}

TEST(AddressSpace, StringAccessesAreRepeated) {
  AddressSpace space;
  Recorder device;
  space.add_ports(0x100, 4, device, "ports");
  EXPECT_TRUE(space.write_port(0x102, 2, buffer));
  EXPECT_THAT(device.offsets, ElementsAre(2, 2, 2, 2));
  EXPECT_THAT(device.sizes, ElementsAre(2, 2, 2, 2));
  EXPECT_TRUE(space.read_port(0x100, 4, buffer));
  EXPECT_EQ(device.offsets.size(), 6U);
}

}  // namespace
}  // namespace patchbay::vmm
