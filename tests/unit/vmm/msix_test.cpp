#include "devices/pci/msix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace patchbay::devices::pci {
namespace {

using testing::_;
using testing::InSequence;
using testing::StrictMock;

class MockVectors : public MsiVectors {
 public:
  MOCK_METHOD(void, configure, (unsigned, std::uint64_t, std::uint32_t), (noexcept, override));
  MOCK_METHOD(void, raise, (unsigned), (noexcept, override));
};

class MsixTableTest : public testing::Test {
 protected:
  MsixTableTest() { table_.attach(vectors_); }

  template <typename T>
  void write(std::uint64_t offset, T value) {
    table_.write_table(offset, std::as_bytes(std::span(&value, 1)));
  }
  template <typename T>
  T read(std::uint64_t offset) {
    T value{};
    table_.read_table(offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  std::uint64_t pending() {
    std::uint64_t value{};
    table_.read_pba(0, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  void program(unsigned vector) {
    write<std::uint64_t>(vector * 16, 0xFEE0'1000);
    write<std::uint32_t>(vector * 16 + 8, 0x40 + vector);
    write<std::uint32_t>(vector * 16 + 12, 0);
  }

  StrictMock<MockVectors> vectors_;
  MsixTable table_{3};
};

TEST_F(MsixTableTest, EntriesStartMasked) {
  EXPECT_EQ(read<std::uint32_t>(12), 1U);
  EXPECT_EQ(read<std::uint32_t>(44), 1U);
}

TEST_F(MsixTableTest, MachineLearnsAMessageWhenItIsUnmasked) {
  EXPECT_CALL(vectors_, configure(1, 0xFEE0'1000, 0x41)).Times(1);
  program(1);
  EXPECT_EQ(read<std::uint64_t>(16), 0xFEE0'1000U);
  EXPECT_EQ(read<std::uint32_t>(24), 0x41U);
}

TEST_F(MsixTableTest, MessageChangedWhileUnmaskedIsLearntAnew) {
  EXPECT_CALL(vectors_, configure(0, 0xFEE0'1000, 0x40)).Times(1);
  program(0);
  EXPECT_CALL(vectors_, configure(0, 0xFEE0'1000, 0x99)).Times(1);
  write<std::uint32_t>(8, 0x99);
}

TEST_F(MsixTableTest, RaiseNeedsMsixEnabledAndAPresentVector) {
  EXPECT_FALSE(table_.raise(0));
  table_.set_control(true, false);
  EXPECT_FALSE(table_.raise(3));
  EXPECT_FALSE(table_.raise(~0U));
  EXPECT_EQ(pending(), 0U);
}

TEST_F(MsixTableTest, MaskedMessageWaitsInThePendingBits) {
  table_.set_control(true, false);
  EXPECT_TRUE(table_.raise(2));
  EXPECT_TRUE(table_.raise(2));
  EXPECT_EQ(pending(), 4U);
  InSequence order;
  EXPECT_CALL(vectors_, configure(2, _, _));
  EXPECT_CALL(vectors_, raise(2)).Times(1);
  write<std::uint32_t>(2 * 16 + 12, 0);
  EXPECT_EQ(pending(), 0U);
}

TEST_F(MsixTableTest, FunctionMaskHoldsEverythingBack) {
  EXPECT_CALL(vectors_, configure(0, _, _));
  program(0);
  table_.set_control(true, true);
  EXPECT_TRUE(table_.raise(0));
  EXPECT_EQ(pending(), 1U);
  EXPECT_CALL(vectors_, raise(0)).Times(1);
  table_.set_control(true, false);
  EXPECT_EQ(pending(), 0U);
}

TEST_F(MsixTableTest, UnmaskedMessageGoesOut) {
  EXPECT_CALL(vectors_, configure(0, _, _));
  program(0);
  table_.set_control(true, false);
  EXPECT_CALL(vectors_, raise(0)).Times(1);
  EXPECT_TRUE(table_.raise(0));
}

TEST_F(MsixTableTest, OddWritesAreIgnored) {
  write<std::uint8_t>(0, 0xFF);
  write<std::uint16_t>(12, 0);
  write<std::uint32_t>(2, 0xFFFF'FFFF);   // misaligned
  write<std::uint64_t>(4, ~0ULL);         // misaligned
  write<std::uint32_t>(48, 0xFFFF'FFFF);  // past the end
  write<std::uint64_t>(~0ULL - 7, ~0ULL);
  for (std::uint64_t offset = 0; offset < 48; offset += 4) {
    EXPECT_EQ(read<std::uint32_t>(offset), offset % 16 == 12 ? 1U : 0U) << offset;
  }
}

TEST_F(MsixTableTest, OddReadsAreServed) {
  write<std::uint32_t>(0, 0xFEE0'1234);
  EXPECT_EQ(read<std::uint8_t>(1), 0x12);
  EXPECT_EQ(read<std::uint16_t>(1), 0xE012);
  EXPECT_EQ(read<std::uint64_t>(44), 1U) << "past the end is zero";
  EXPECT_EQ(read<std::uint32_t>(1'000'000), 0U);
}

TEST_F(MsixTableTest, ReservedControlBitsStayZero) {
  write<std::uint32_t>(12, 0xFFFF'FFFF);
  EXPECT_EQ(read<std::uint32_t>(12), 1U);
}

TEST_F(MsixTableTest, ResetMasksAndForgets) {
  EXPECT_CALL(vectors_, configure(0, _, _)).Times(1);
  program(0);
  table_.set_control(true, true);
  table_.raise(0);
  table_.reset();
  EXPECT_FALSE(table_.enabled());
  EXPECT_EQ(pending(), 0U);
  EXPECT_EQ(read<std::uint64_t>(0), 0U);
  EXPECT_EQ(read<std::uint32_t>(12), 1U);
}

TEST(MsixTable, SizeIsBounded) {
  EXPECT_THROW(MsixTable(0), std::logic_error);
  EXPECT_THROW(MsixTable(2049), std::logic_error);
  EXPECT_EQ(MsixTable(2048).pba_bytes(), 256U);
  EXPECT_EQ(MsixTable(65).pba_bytes(), 16U);
}

}  // namespace
}  // namespace patchbay::devices::pci
