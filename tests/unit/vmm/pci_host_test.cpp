#include "vmm/pci_host.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "vmm/doorbells.h"
#include "vmm/memory_map.h"

namespace patchbay::vmm {
namespace {

using devices::pci::Function;

class NoMsi final : public devices::MsiVectors {
 public:
  void configure(unsigned, std::uint64_t, std::uint32_t) noexcept override {}
  void raise(unsigned) noexcept override {}
};

class Register final : public Function {
 public:
  explicit Register(std::uint16_t device, std::uint64_t bytes = 0x1000)
      : Function({.vendor = 0x1AF4, .device = device}) {
    add_memory_bar(0, bytes, true);
    add_io_bar(2, 32);
  }
  std::uint64_t value = 0;
  std::uint64_t last_offset = 0;

 private:
  void on_bar_read(unsigned, std::uint64_t offset, std::span<std::byte> data) noexcept override {
    last_offset = offset;
    std::memcpy(data.data(), &value, data.size());
  }
  void on_bar_write(unsigned, std::uint64_t offset, std::span<const std::byte> data) noexcept override {
    last_offset = offset;
    value = 0;
    std::memcpy(&value, data.data(), data.size());
  }
  void on_reset() noexcept override {}
};

class PciHostTest : public testing::Test {
 protected:
  PciHostTest() {
    const devices::pci::Attachment attachment{&memory_, &msi_, nullptr, &doorbells_};
    const devices::pci::Attachment both[] = {attachment, attachment};
    host_.add_to(space_);
    host_.attach(both);
    host_.assign_bars();
  }

  template <typename T>
  T read(std::uint64_t address) {
    T value{};
    space_.read_memory(address, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  template <typename T>
  void write(std::uint64_t address, T value) {
    space_.write_memory(address, std::as_bytes(std::span(&value, 1)));
  }
  template <typename T>
  T in(unsigned port) {
    T value{};
    space_.read_port(static_cast<std::uint16_t>(port), sizeof value,
                     std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  template <typename T>
  void out(unsigned port, T value) {
    std::array<std::byte, sizeof value> bytes;
    std::memcpy(bytes.data(), &value, sizeof value);
    space_.write_port(static_cast<std::uint16_t>(port), sizeof value, bytes);
  }

  devices::GuestMemory memory_;
  NoMsi msi_;
  KvmDoorbells doorbells_;
  std::shared_ptr<Register> first_ = std::make_shared<Register>(0x1001);
  std::shared_ptr<Register> second_ = std::make_shared<Register>(0x1002, 0x10000);
  PciHost host_{{first_, second_}};
  AddressSpace space_;
};

TEST_F(PciHostTest, EcamAddressesFunctions) {
  EXPECT_EQ(read<std::uint32_t>(kEcamStart), 0x0008'1B36U);
  EXPECT_EQ(read<std::uint16_t>(kEcamStart + (1 << 15) + 2), 0x1001);
  EXPECT_EQ(read<std::uint16_t>(kEcamStart + (2 << 15) + 2), 0x1002);
  EXPECT_EQ(read<std::uint32_t>(kEcamStart + (3 << 15)), 0xFFFF'FFFFU) << "no such device";
  EXPECT_EQ(read<std::uint32_t>(kEcamStart + (1 << 15) + (1 << 12)), 0xFFFF'FFFFU) << "no such function";
  EXPECT_EQ(read<std::uint32_t>(kEcamStart + kEcamBytes - 4), 0xFFFF'FFFFU);
  write<std::uint32_t>(kEcamStart + (3 << 15) + 4, 7);
}

TEST_F(PciHostTest, ViewShowsWhatReadsReturn) {
  write<std::uint16_t>(kEcamStart + (2 << 15) + 4, 7);
  const auto view = host_.ecam_view();
  ASSERT_EQ(view.size(), kEcamBytes);
  for (std::uint64_t page = 0; page < kEcamBytes; page += kPageBytes) {
    for (std::uint64_t offset = 0; offset < 256; offset += 4) {
      std::uint32_t shown;
      std::memcpy(&shown, view.data() + page + offset, sizeof shown);
      ASSERT_EQ(shown, read<std::uint32_t>(kEcamStart + page + offset)) << page << "+" << offset;
    }
  }
}

TEST_F(PciHostTest, ConfigurationPorts) {
  EXPECT_EQ(in<std::uint32_t>(0xCFC), 0xFFFF'FFFFU) << "not enabled";
  out<std::uint32_t>(0xCF8, 0x8000'0000 | 2 << 11 | 0x00);
  EXPECT_EQ(in<std::uint32_t>(0xCF8), 0x8000'1000U);
  EXPECT_EQ(in<std::uint32_t>(0xCFC), 0x1002'1AF4U);
  EXPECT_EQ(in<std::uint16_t>(0xCFE), 0x1002);
  EXPECT_EQ(in<std::uint8_t>(0xCFD), 0x1A);
  out<std::uint32_t>(0xCF8, 0x8000'0000 | 2 << 11 | 0x04);
  out<std::uint16_t>(0xCFC, 0x0007);
  EXPECT_EQ(read<std::uint16_t>(kEcamStart + (2 << 15) + 4), 7);
  out<std::uint32_t>(0xCF8, 0x8001'0000);  // bus 1
  EXPECT_EQ(in<std::uint32_t>(0xCFC), 0xFFFF'FFFFU);
  out<std::uint8_t>(0xCF8, 0);  // narrow: not the address register
  EXPECT_EQ(in<std::uint32_t>(0xCF8), 0x8001'0000U);
}

TEST_F(PciHostTest, BarsAreAssignedApartAndAligned) {
  EXPECT_EQ(first_->bar_address(0), kPciWindowStart);
  EXPECT_EQ(second_->bar_address(0), kPciWindowStart + 0x10000);
  EXPECT_EQ(first_->bar_address(2), kPciPortsStart);
  EXPECT_EQ(second_->bar_address(2), kPciPortsStart + 32U);
}

TEST_F(PciHostTest, AccessesGoWhereTheBarStands) {
  write<std::uint32_t>(kPciWindowStart + 0x10, 0xABCD);
  EXPECT_EQ(first_->value, 0xABCDU);
  EXPECT_EQ(first_->last_offset, 0x10U);
  out<std::uint16_t>(kPciPortsStart + 36, 0x1234);
  EXPECT_EQ(second_->value, 0x1234U);
  EXPECT_EQ(second_->last_offset, 4U);

  write<std::uint32_t>(kEcamStart + (1 << 15) + 0x10, 0xD000'0000);  // moved by the guest
  EXPECT_EQ(read<std::uint32_t>(kPciWindowStart + 0x10), 0xFFFF'FFFFU);
  EXPECT_EQ(read<std::uint32_t>(0xD000'0010), 0xABCDU);

  write<std::uint32_t>(kEcamStart + (1 << 15) + 0x10,
                       0x0010'0000);  // onto RAM: out of the window, out of reach
  EXPECT_EQ(read<std::uint32_t>(0xD000'0010), 0xFFFF'FFFFU);
  EXPECT_EQ(read<std::uint32_t>(0x0010'0010), 0xFFFF'FFFFU);
}

TEST_F(PciHostTest, AccessAcrossTheEndOfABarIsUnclaimed) {
  EXPECT_EQ(read<std::uint64_t>(kPciWindowStart + 0xFFC), ~0ULL);
  EXPECT_EQ(in<std::uint32_t>(kPciPortsStart + 30), 0xFFFF'FFFFU);
}

TEST_F(PciHostTest, ResetTakesTheBarsAway) {
  out<std::uint32_t>(0xCF8, 0x8000'0000);
  host_.reset();
  EXPECT_EQ(first_->bar_address(0), 0U);
  EXPECT_EQ(in<std::uint32_t>(0xCF8), 0U);
  EXPECT_EQ(read<std::uint32_t>(kPciWindowStart), 0xFFFF'FFFFU);
  host_.assign_bars();
  EXPECT_EQ(first_->bar_address(0), kPciWindowStart);
}

TEST(PciHost, WindowsThatAreTooSmallAreAnError) {
  devices::GuestMemory memory;
  NoMsi msi;
  KvmDoorbells doorbells;
  const devices::pci::Attachment attachment{&memory, &msi, nullptr, &doorbells};
  const devices::pci::Attachment both[] = {attachment, attachment};
  PciHost host({std::make_shared<Register>(1, 512 * kMiB), std::make_shared<Register>(2, 0x1000)});
  host.attach(both);
  EXPECT_THROW(host.assign_bars(), std::runtime_error);
}

TEST(PciHost, DoorbellsOutsideTheWindowAreRefused) {
  KvmDoorbells doorbells;
  EXPECT_FALSE(doorbells.attach(0x1000, 0));
  EXPECT_FALSE(doorbells.attach(kPciWindowStart, 0)) << "no machine is on";
}

}  // namespace
}  // namespace patchbay::vmm
