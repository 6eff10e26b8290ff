// The ACPI tables: the chain from the root pointer, every checksum, the values that other parts rely on; and the AML
// against another implementation of ACPI (acpica-tools), where it is installed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
#include <sstream>

#include "vmm/acpi/aml.h"
#include "vmm/acpi/tables.h"
#include "vmm/cpuid.h"
#include "vmm/guest_ram.h"
#include "vmm/memory_map.h"

namespace patchbay::vmm {
namespace {

using testing::HasSubstr;

template <typename T>
T peek(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

unsigned sum(const std::byte* at, std::size_t bytes) {
  return std::accumulate(at, at + bytes, 0U,
                         [](unsigned total, std::byte b) { return (total + std::to_integer<unsigned>(b)) & 0xFF; });
}

class AcpiTablesTest : public testing::Test {
 protected:
  explicit AcpiTablesTest() : memory_(ram_.view()) {
    const std::byte* rsdp = at(place_acpi_tables({3}, memory_));
    EXPECT_EQ(std::memcmp(rsdp, "RSD PTR ", 8), 0);
    EXPECT_EQ(sum(rsdp, 20), 0U);
    EXPECT_EQ(sum(rsdp, 36), 0U);
    const std::byte* xsdt = checked(peek<std::uint64_t>(rsdp + 24));
    for (std::uint32_t entry = 36; entry < peek<std::uint32_t>(xsdt + 4); entry += 8)
      (void)checked(peek<std::uint64_t>(xsdt + entry));
  }
  const std::byte* at(std::uint64_t address) { return memory_.translate(address, 1); }
  const std::byte* checked(std::uint64_t address) {
    const std::byte* table = at(address);
    EXPECT_EQ(sum(table, peek<std::uint32_t>(table + 4)), 0U) << address;
    tables_[std::string(reinterpret_cast<const char*>(table), 4)] = table;
    return table;
  }

  GuestRam ram_{2 * kMiB, HugePages::never};
  const devices::GuestMemory& memory_;
  std::map<std::string, const std::byte*> tables_;
};

TEST_F(AcpiTablesTest, ChainIsComplete) {
  for (const char* signature : {"XSDT", "FACP", "APIC", "MCFG"})
    EXPECT_TRUE(tables_.contains(signature)) << signature;
  const std::byte* fadt = tables_["FACP"];
  EXPECT_EQ(peek<std::uint32_t>(fadt + 4), 276U);
  EXPECT_EQ(peek<std::uint32_t>(fadt + 40), peek<std::uint64_t>(fadt + 140));
  EXPECT_EQ(std::memcmp(checked(peek<std::uint64_t>(fadt + 140)), "DSDT", 4), 0);
  EXPECT_EQ(std::memcmp(at(peek<std::uint32_t>(fadt + 36)), "FACS", 4), 0);
  EXPECT_EQ(peek<std::uint32_t>(fadt + 36) % 64, 0U);
  EXPECT_EQ(peek<std::uint32_t>(fadt + 56), kPowerPort);
  EXPECT_EQ(peek<std::uint64_t>(fadt + 120), kResetControlPort);
  EXPECT_EQ(peek<std::uint64_t>(tables_["MCFG"] + 44), kEcamStart);
}

TEST_F(AcpiTablesTest, EveryProcessorIsListed) {
  const std::byte* madt = tables_["APIC"];
  const auto end = peek<std::uint32_t>(madt + 4);
  std::map<int, int> entries;
  std::uint32_t position = 44;
  for (; position < end; position += peek<std::uint8_t>(madt + position + 1)) {
    ASSERT_GE(peek<std::uint8_t>(madt + position + 1), 2);
    ++entries[peek<std::uint8_t>(madt + position)];
  }
  EXPECT_EQ(position, end);
  EXPECT_EQ(entries, (std::map<int, int>{{0, 3}, {1, 1}, {2, 2}, {4, 1}}));
}

TEST_F(AcpiTablesTest, MostProcessorsFit) {
  EXPECT_LE(acpi_tables({254}, kAcpiStart).size(), kAcpiBytes);
  EXPECT_NO_THROW((void)place_acpi_tables({254}, memory_));
}

/// The other implementation disassembles our definition block, compiles the result again and must be content with it.
TEST(AmlTest, AcpicaUnderstandsTheDefinitionBlock) {
  if (std::system("command -v iasl >/dev/null && command -v acpiexec >/dev/null") != 0)
    GTEST_SKIP() << "acpica-tools is not installed; tools/install-packages test";
  char folder[] = "/tmp/patchbay-aml.XXXXXX";
  ASSERT_NE(::mkdtemp(folder), nullptr);
  const std::filesystem::path work(folder);
  const std::vector<std::byte> dsdt = acpi_dsdt({16});
  std::ofstream(work / "dsdt.aml", std::ios::binary)
      .write(reinterpret_cast<const char*>(dsdt.data()), static_cast<std::streamsize>(dsdt.size()));
  const auto run = [&](const std::string& command) {
    const int status = std::system(("cd " + work.string() + " && " + command + " >log 2>&1").c_str());
    std::stringstream text;
    text << std::ifstream(work / "log").rdbuf();
    return std::to_string(status) + "\n" + text.str();
  };
  EXPECT_THAT(run("iasl -d dsdt.aml"), HasSubstr("Parsing completed"));
  EXPECT_THAT(run("iasl -p again dsdt.dsl"), HasSubstr("0 Errors, 0 Warnings"));
  EXPECT_THAT(run("acpiexec -b 'evaluate \\_S5_; evaluate \\_SB_.PCI0._PRT; evaluate \\_SB_.C00F._UID; resources "
                  "\\_SB_.PCI0' dsdt.aml"),
              testing::AllOf(HasSubstr("[Integer] = 00000000001FFFFF"), HasSubstr("[Integer] = 000000000000000F"),
                             HasSubstr("Address Maximum : DFFFFFFF"), testing::Not(HasSubstr("Could not"))));
  std::filesystem::remove_all(work);
}

TEST(AmlTest, PackageLengthsOfAllSizes) {
  for (const std::size_t bytes : {1UL, 50UL, 60UL, 61UL, 62UL, 4'080UL, 4'095UL, 70'000UL}) {
    const aml::Bytes scope = aml::scope("\\_SB_", aml::Bytes(bytes, 0xA3));
    const unsigned more = scope[1] >> 6;
    std::size_t length = more == 0 ? scope[1] & 0x3FU : scope[1] & 0xFU;
    for (unsigned i = 0; i < more; ++i)
      length |= std::size_t{scope[2 + i]} << (4 + 8 * i);
    EXPECT_EQ(length, scope.size() - 1) << bytes;
  }
}

TEST(AmlTest, WrongNamesAreRefused) {
  for (const char* name : {"", "TOOLONG", "low", "1ABC", "A B"})
    EXPECT_THROW((void)aml::name_string(name), std::logic_error) << name;
  EXPECT_EQ(aml::name_string("\\AB"), (aml::Bytes{'\\', 'A', 'B', '_', '_'}));
  EXPECT_EQ(aml::eisa_id("PNP0A03"), (aml::Bytes{0x0C, 0x41, 0xD0, 0x0A, 0x03}));
}

// --- CPUID
// ----------------------------------------------------------------------------------------------------------------

kvm_cpuid_entry2 leaf(std::uint32_t function, std::uint32_t index, std::uint32_t eax, std::uint32_t ecx = 0) {
  kvm_cpuid_entry2 entry{};
  entry.function = function;
  entry.index = index;
  entry.eax = eax;
  entry.ecx = ecx;
  return entry;
}

const kvm_cpuid_entry2* find(const CpuidEntries& entries, std::uint32_t function, std::uint32_t index = 0) {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const kvm_cpuid_entry2& entry) {
    return entry.function == function && entry.index == index;
  });
  return found == entries.end() ? nullptr : &*found;
}

TEST(CpuidTest, TopologyIsOnePackageOfCores) {
  // Newer kernels give no topology of their own: the second level has to be made up.
  const CpuidEntries host{leaf(0, 0, 0x1F), leaf(1, 0, 0), leaf(0x4, 0, 0xFC00'4121), leaf(0x4, 3, 0xFC1F'C163),
                          leaf(0xB, 0, 0), leaf(0x8000'0008, 0, 0x3030, 0x7F), leaf(0x4000'0000, 0, 0x4000'0001)};
  const CpuidEntries guest = guest_cpuid(host, 9, 12, 2'000'000, true);
  EXPECT_EQ(find(guest, 1)->ebx, 9U << 24 | 12U << 16);
  for (const std::uint32_t function : {0xBU, 0x1FU}) {
    ASSERT_NE(find(guest, function, 2), nullptr);
    EXPECT_EQ(find(guest, function, 0)->ecx, 0x100U);
    EXPECT_EQ(find(guest, function, 1)->eax, 4U) << "twelve processors take four bits";
    EXPECT_EQ(find(guest, function, 1)->ebx, 12U);
    EXPECT_EQ(find(guest, function, 1)->ecx, 0x201U);
    EXPECT_EQ(find(guest, function, 1)->edx, 9U);
    EXPECT_EQ(find(guest, function, 2)->ebx, 0U);
  }
  EXPECT_EQ(find(guest, 0x4, 0)->eax, 0x121U | 11U << 26) << "a first-level cache is one processor's";
  EXPECT_EQ(find(guest, 0x4, 3)->eax & 0x03FF'C000U, 11U << 14) << "the third level is everybody's";
  EXPECT_EQ(find(guest, 0x8000'0008)->ecx, 4U << 12 | 11U);
  EXPECT_EQ(find(guest, 0x4000'0010)->eax, 2'000'000U);
}

TEST(CpuidTest, NoTopologyLeavesWhereTheHostHasNone) {
  const CpuidEntries guest = guest_cpuid({leaf(0, 0, 0x7), leaf(1, 0, 0)}, 0, 1, 1'000, false);
  EXPECT_EQ(find(guest, 0xB), nullptr);
  EXPECT_EQ(find(guest, 1)->edx, 0U);
}

}  // namespace
}  // namespace patchbay::vmm
