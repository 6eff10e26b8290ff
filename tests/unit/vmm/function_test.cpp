// Function as a guest meets it: command register, BAR sizing and moving, MSI-X through a BAR, odd accesses
// everywhere.
#include "devices/pci/function.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <utility>
#include <vector>

namespace patchbay::devices::pci {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

struct RecordingMachine : MsiVectors, InterruptPin, Doorbells {
  void configure(unsigned vector, std::uint64_t address, std::uint32_t) noexcept override {
    configured.emplace_back(vector, address);
  }
  void raise(unsigned vector) noexcept override { raised.push_back(vector); }
  void set(bool asserted) noexcept override { pin = asserted; }
  bool attach(std::uint64_t, int) noexcept override { return true; }
  void detach(std::uint64_t, int) noexcept override {}

  std::vector<std::pair<unsigned, std::uint64_t>> configured;
  std::vector<unsigned> raised;
  bool pin = false;
};

class TestFunction final : public Function {
 public:
  TestFunction()
      : Function({.vendor = 0x1AF4,
                  .device = 0x1041,
                  .subsystem_vendor = 0x1234,
                  .subsystem = 0x5678,
                  .revision = 3,
                  .class_code = 0x020001}) {
    add_memory_bar(0, 0x1000, false);
    add_io_bar(1, 64);
    add_memory_bar(2, 0x4000, true);
    add_msix(2, 2, 0x1000);
  }

  using Function::add_io_bar;
  using Function::add_memory_bar;
  using Function::add_msix;
  using Function::bus_master;
  using Function::msix_enabled;
  using Function::raise_msix;
  using Function::set_config;
  using Function::set_intx;

  std::vector<std::pair<unsigned, std::uint64_t>> moves;
  std::vector<std::pair<unsigned, std::uint64_t>> accesses;
  std::vector<std::pair<std::uint32_t, std::size_t>> config_writes;
  int resets = 0;

 private:
  void on_bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> data) noexcept override {
    accesses.emplace_back(bar, offset);
    std::fill(data.begin(), data.end(), std::byte{0x5A});
  }
  void on_bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte>) noexcept override {
    accesses.emplace_back(bar, offset);
  }
  void on_config_written(std::uint32_t offset, std::size_t length) noexcept override {
    config_writes.emplace_back(offset, length);
  }
  void on_bar_moved(unsigned bar, std::uint64_t address) noexcept override {
    moves.emplace_back(bar, address);
  }
  void on_reset() noexcept override { ++resets; }
};

class FunctionTest : public testing::Test {
 protected:
  FunctionTest() { function_.attach({&memory_, &machine_, &machine_, &machine_}); }

  template <typename T>
  T read(std::uint32_t offset) {
    T value{};
    function_.config_read(offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  template <typename T>
  void write(std::uint32_t offset, T value) {
    function_.config_write(offset, std::as_bytes(std::span(&value, 1)));
  }
  template <typename T>
  T bar_read(unsigned bar, std::uint64_t offset) {
    T value{};
    function_.bar_read(bar, offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  template <typename T>
  void bar_write(unsigned bar, std::uint64_t offset, T value) {
    function_.bar_write(bar, offset, std::as_bytes(std::span(&value, 1)));
  }

  GuestMemory memory_;
  RecordingMachine machine_;
  TestFunction function_;
};

TEST_F(FunctionTest, HeaderShowsTheIdentity) {
  EXPECT_EQ(read<std::uint32_t>(0x00), 0x1041'1AF4U);
  EXPECT_EQ(read<std::uint32_t>(0x08), 0x0200'0103U);
  EXPECT_EQ(read<std::uint32_t>(0x2C), 0x5678'1234U);
  EXPECT_EQ(read<std::uint8_t>(0x0E), 0) << "type 0, one function";
  EXPECT_EQ(read<std::uint8_t>(0x3D), 1) << "INTA#, since the machine has a pin";
  EXPECT_EQ(read<std::uint32_t>(0x30), 0U) << "no ROM";
}

TEST_F(FunctionTest, IdentityIsReadOnly) {
  for (const std::uint32_t offset : {0x00U, 0x08U, 0x2CU, 0x34U, 0x30U}) {
    const auto before = read<std::uint32_t>(offset);
    write<std::uint32_t>(offset, 0xFFFF'FFFF);
    EXPECT_EQ(read<std::uint32_t>(offset), before) << offset;
  }
}

TEST_F(FunctionTest, OnlyImplementedCommandBitsStick) {
  write<std::uint16_t>(kCommand, 0xFFFF);
  EXPECT_EQ(read<std::uint16_t>(kCommand), 0x0547);
  EXPECT_TRUE(function_.bus_master());
  write<std::uint16_t>(kCommand, 0);
  EXPECT_FALSE(function_.bus_master());
}

TEST_F(FunctionTest, WritesToStatusChangeNothing) {
  const auto before = read<std::uint16_t>(kStatus);
  write<std::uint16_t>(kStatus, 0xFFFF);
  EXPECT_EQ(read<std::uint16_t>(kStatus), before);
}

TEST_F(FunctionTest, BarSizing) {
  for (unsigned bar = 0; bar < kBars; ++bar)
    write<std::uint32_t>(kBar0 + 4 * bar, 0xFFFF'FFFF);
  EXPECT_EQ(read<std::uint32_t>(kBar0), 0xFFFF'F000U);
  EXPECT_EQ(read<std::uint32_t>(kBar0 + 4), 0xFFFF'FFC1U);
  EXPECT_EQ(read<std::uint32_t>(kBar0 + 8), 0xFFFF'C004U);
  EXPECT_EQ(read<std::uint32_t>(kBar0 + 12), 0xFFFF'FFFFU);
  EXPECT_EQ(read<std::uint32_t>(kBar0 + 16), 0U) << "absent";
  EXPECT_EQ(read<std::uint32_t>(kBar0 + 20), 0U) << "absent";
}

TEST_F(FunctionTest, BarAnswersOnlyWhileDecodingIsEnabled) {
  write<std::uint32_t>(kBar0, 0xC000'0000);
  write<std::uint32_t>(kBar0 + 4, 0xC040);
  EXPECT_EQ(function_.bar_address(0), 0U);
  write<std::uint16_t>(kCommand, kCommandMemorySpace);
  EXPECT_EQ(function_.bar_address(0), 0xC000'0000U);
  EXPECT_EQ(function_.bar_address(1), 0U);
  write<std::uint16_t>(kCommand, kCommandIoSpace);
  EXPECT_EQ(function_.bar_address(0), 0U);
  EXPECT_EQ(function_.bar_address(1), 0xC040U);
  EXPECT_THAT(function_.moves, ElementsAre(Pair(0, 0xC000'0000), Pair(0, 0), Pair(1, 0xC040)));
}

TEST_F(FunctionTest, BarMovedOutOfReachVanishes) {
  write<std::uint32_t>(kBar0, 0xC000'0000);
  write<std::uint32_t>(kBar0 + 8, 0x8000'0000);
  write<std::uint16_t>(kCommand, kCommandMemorySpace | kCommandIoSpace);
  function_.moves.clear();
  write<std::uint32_t>(kBar0, 0xFFFF'FFFF);  // sizing with decoding left on
  EXPECT_EQ(function_.bar_address(0), 0U);
  write<std::uint32_t>(kBar0 + 4, 0x0001'0000);
  EXPECT_EQ(function_.bar_address(1), 0U) << "no port above 0xFFFF";
  write<std::uint64_t>(kBar0 + 8, 0xFFFF'FFFF'FFFF'FFFF);
  EXPECT_EQ(function_.bar_address(2), 0U);
  EXPECT_THAT(function_.moves, ElementsAre(Pair(0, 0), Pair(2, 0)));
  write<std::uint64_t>(kBar0 + 8, 0x0000'0010'0000'0000);
  EXPECT_EQ(function_.bar_address(2), 0x10'0000'0000U);
}

TEST_F(FunctionTest, BarIndicesOutOfRangeAreHarmless) {
  EXPECT_EQ(function_.bar_size(3), 0U) << "upper half of BAR 2";
  EXPECT_EQ(function_.bar_size(6), 0U);
  EXPECT_EQ(function_.bar_address(99), 0U);
  EXPECT_EQ(bar_read<std::uint32_t>(6, 0), 0xFFFF'FFFFU);
  bar_write<std::uint32_t>(99, 0, 1);
  EXPECT_THAT(function_.accesses, IsEmpty());
}

TEST_F(FunctionTest, BarAccessesPastTheEndDoNotReachTheDevice) {
  EXPECT_EQ(bar_read<std::uint32_t>(0, 0x1000), 0xFFFF'FFFFU);
  EXPECT_EQ(bar_read<std::uint64_t>(0, 0xFFC), ~0ULL) << "half outside";
  EXPECT_EQ(bar_read<std::uint64_t>(0, ~0ULL), ~0ULL);
  bar_write<std::uint64_t>(0, 0xFFC, 0);
  EXPECT_THAT(function_.accesses, IsEmpty());
  EXPECT_EQ(bar_read<std::uint32_t>(0, 0xFFC), 0x5A5A'5A5AU);
  EXPECT_THAT(function_.accesses, ElementsAre(Pair(0, 0xFFC)));
}

TEST_F(FunctionTest, OddConfigurationAccesses) {
  EXPECT_EQ(read<std::uint64_t>(0xFFF), 0xFFFF'FFFF'FFFF'FF00U);
  EXPECT_EQ(read<std::uint32_t>(0xFFFF'FFF0), 0xFFFF'FFFFU);
  EXPECT_EQ(read<std::uint32_t>(0x03), 0x1000'0010U) << "across two registers";
  write<std::uint64_t>(0xFFE, ~0ULL);
  EXPECT_THAT(function_.config_writes, ElementsAre(Pair(0xFFE, 2))) << "clipped";
  write<std::uint32_t>(4096, 1);
  write<std::uint32_t>(0xFFFF'FFFF, 1);
  EXPECT_EQ(function_.config_writes.size(), 1U);
  // One byte of the command register, by a write that starts before it.
  write<std::uint16_t>(3, 0x0400);
  EXPECT_EQ(read<std::uint16_t>(kCommand), kCommandBusMaster);
  EXPECT_TRUE(function_.bus_master());
}

TEST_F(FunctionTest, ConfigPageShowsWhatReadsReturn) {
  write<std::uint16_t>(kCommand, 0x0007);
  write<std::uint32_t>(kBar0, 0xC000'0000);
  std::array<std::byte, kConfigBytes> read_back;
  function_.config_read(0, read_back);
  EXPECT_EQ(std::memcmp(read_back.data(), function_.config_page().data(), kConfigBytes), 0);
}

TEST_F(FunctionTest, MsixLivesInItsBar) {
  EXPECT_EQ(read<std::uint32_t>(0x40), 0x0001'0011U);
  EXPECT_EQ(read<std::uint32_t>(0x44), 0x0000'1002U) << "table: BAR 2, 0x1000";
  EXPECT_EQ(read<std::uint32_t>(0x48), 0x0000'2002U) << "pending bits: the next page";
  bar_write<std::uint32_t>(2, 0x1010, 0xFEE0'0000);
  bar_write<std::uint32_t>(2, 0x1018, 0x51);
  bar_write<std::uint32_t>(2, 0x101C, 0);
  EXPECT_EQ(bar_read<std::uint32_t>(2, 0x1018), 0x51U);
  EXPECT_THAT(machine_.configured, ElementsAre(Pair(1, 0xFEE0'0000)));
  EXPECT_FALSE(function_.raise_msix(1));
  write<std::uint16_t>(0x42, 0x8000);
  EXPECT_TRUE(function_.raise_msix(1));
  EXPECT_THAT(machine_.raised, ElementsAre(1));
  EXPECT_TRUE(function_.raise_msix(0)) << "masked";
  EXPECT_EQ(bar_read<std::uint64_t>(2, 0x2000), 1U);
  bar_write<std::uint64_t>(2, 0x2000, 0);  // read-only
  EXPECT_EQ(bar_read<std::uint64_t>(2, 0x2000), 1U);
  EXPECT_THAT(function_.accesses, IsEmpty());
  EXPECT_EQ(bar_read<std::uint8_t>(2, 0x1020), 0x5A) << "behind the table: the device's";
  EXPECT_EQ(bar_read<std::uint8_t>(2, 0x2008), 0x5A) << "behind the pending bits: the device's";
}

TEST_F(FunctionTest, OddMsixAccesses) {
  bar_write<std::uint8_t>(2, 0x100C, 0);
  bar_write<std::uint64_t>(2, 0x101C, 0);  // past the end of the table
  EXPECT_EQ(bar_read<std::uint32_t>(2, 0x100C), 1U);
  EXPECT_EQ(bar_read<std::uint64_t>(2, 0x101C), 1U);
  EXPECT_EQ(bar_read<std::uint64_t>(2, 0x2004), 0U);
  write<std::uint16_t>(0x42, 0xFFFF);
  EXPECT_EQ(read<std::uint16_t>(0x42), 0xC001) << "the table size is read-only";
  write<std::uint8_t>(0x43, 0x80);  // just the upper byte
  EXPECT_TRUE(function_.msix_enabled());
}

TEST_F(FunctionTest, InterruptPinFollowsCommandAndMsix) {
  function_.set_intx(true);
  EXPECT_TRUE(machine_.pin);
  EXPECT_NE(read<std::uint16_t>(kStatus) & kStatusInterrupt, 0);
  write<std::uint16_t>(kCommand, kCommandInterruptDisable);
  EXPECT_FALSE(machine_.pin);
  EXPECT_NE(read<std::uint16_t>(kStatus) & kStatusInterrupt, 0) << "the status shows it nevertheless";
  write<std::uint16_t>(kCommand, 0);
  EXPECT_TRUE(machine_.pin);
  write<std::uint16_t>(0x42, 0x8000);
  EXPECT_FALSE(machine_.pin) << "MSI-X replaces the pin";
  write<std::uint16_t>(0x42, 0);
  EXPECT_TRUE(machine_.pin);
  function_.set_intx(false);
  EXPECT_FALSE(machine_.pin);
  EXPECT_EQ(read<std::uint16_t>(kStatus) & kStatusInterrupt, 0);
}

TEST_F(FunctionTest, ResetIsPowerOn) {
  std::array<std::byte, kConfigBytes> fresh;
  function_.config_read(0, fresh);
  write<std::uint32_t>(kBar0, 0xC000'0000);
  write<std::uint16_t>(kCommand, 0x0007);
  write<std::uint8_t>(kInterruptLine, 11);
  write<std::uint16_t>(0x42, 0x8000);
  function_.set_intx(true);
  function_.moves.clear();
  function_.reset();
  std::array<std::byte, kConfigBytes> after;
  function_.config_read(0, after);
  EXPECT_EQ(std::memcmp(fresh.data(), after.data(), kConfigBytes), 0);
  EXPECT_THAT(function_.moves, ElementsAre(Pair(0, 0))) << "the doorbells go away";
  EXPECT_FALSE(function_.msix_enabled());
  EXPECT_FALSE(function_.bus_master());
  EXPECT_FALSE(machine_.pin);
  EXPECT_EQ(function_.resets, 1);
}

TEST(Function, WithoutAPinThereIsNoInterruptPinRegister) {
  GuestMemory memory;
  RecordingMachine machine;
  TestFunction function;
  function.attach({&memory, &machine, nullptr, &machine});
  std::byte pin{};
  function.config_read(kInterruptPin, std::span(&pin, 1));
  EXPECT_EQ(pin, std::byte{0});
  function.set_intx(true);  // goes nowhere
}

TEST(Function, ContradictoryConstructionThrows) {
  TestFunction function;
  EXPECT_THROW(function.add_memory_bar(0, 0x1000, false), std::logic_error);
  EXPECT_THROW(function.add_memory_bar(3, 0x1000, false), std::logic_error) << "upper half of BAR 2";
  EXPECT_THROW(function.add_memory_bar(4, 0x1001, false), std::logic_error);
  EXPECT_THROW(function.add_memory_bar(5, 0x1000, true), std::logic_error) << "no room for the upper half";
  EXPECT_THROW(function.add_io_bar(4, 512), std::logic_error);
  EXPECT_THROW(function.add_msix(1, 0, 0), std::logic_error) << "second table";
}

}  // namespace
}  // namespace patchbay::devices::pci
