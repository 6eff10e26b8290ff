#include "vmm/acpi/tables.h"

#include <array>
#include <cstring>
#include <numeric>
#include <span>
#include <string>

#include "vmm/acpi/aml.h"
#include "vmm/file_contents.h"
#include "vmm/memory_map.h"
#include "vmm/platform/acpi_power.h"
#include "vmm/platform/cmos_clock.h"
#include "vmm/platform/serial_16550.h"

namespace patchbay::vmm {
namespace {

/// A table under construction: fields at the offsets that the specification gives.
class Table {
 public:
  explicit Table(std::size_t bytes) : bytes_(bytes) {}

  template <typename T>
  Table& put(std::size_t offset, T value) {
    std::memcpy(bytes_.data() + offset, &value, sizeof value);
    return *this;
  }
  Table& text(std::size_t offset, const char* value) {
    std::memcpy(bytes_.data() + offset, value, std::strlen(value));
    return *this;
  }
  /// Generic address structure (5.2.3.2): `bits` wide, in port space.
  Table& port_register(std::size_t offset, std::uint16_t port, std::uint8_t bits, std::uint8_t access_size) {
    return put<std::uint8_t>(offset, 1)
        .put<std::uint8_t>(offset + 1, bits)
        .put<std::uint8_t>(offset + 3, access_size)
        .put<std::uint64_t>(offset + 4, port);
  }
  template <typename T>
  Table& append(T value) {
    bytes_.resize(bytes_.size() + sizeof value);
    return put(bytes_.size() - sizeof value, value);
  }
  Table& append_bytes(std::span<const std::uint8_t> more) {
    const auto bytes = std::as_bytes(more);
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  /// Makes the byte at `offset` bring the sum of the first `length` bytes to zero.
  Table& checksum(std::size_t offset, std::size_t length) {
    put<std::uint8_t>(offset, 0);
    const auto sum = std::accumulate(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(length), 0U,
                                     [](unsigned total, std::byte b) { return total + std::to_integer<unsigned>(b); });
    return put<std::uint8_t>(offset, static_cast<std::uint8_t>(0U - sum));
  }
  [[nodiscard]] const std::vector<std::byte>& bytes() const noexcept { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

constexpr std::size_t kHeaderBytes = 36;

/// System description table header (5.2.6); finish() fills in length and checksum.
Table described(const char* signature, std::uint8_t revision, std::size_t bytes = kHeaderBytes) {
  Table table(bytes);
  table.text(0, signature).put(8, revision).text(10, "PTCHBY").text(16, "PATCHBAY").put<std::uint32_t>(24, 1);
  return table.text(28, "PTBY").put<std::uint32_t>(32, 1);
}

std::vector<std::byte> finish(Table table) {
  const std::size_t bytes = table.bytes().size();
  return table.put(4, static_cast<std::uint32_t>(bytes)).checksum(9, bytes).bytes();
}

// --- the definition block
// ---------------------------------------------------------------------------------------------

/// INTA# of every device, by GSI (6.2.13): the I/O APIC's pins have no link devices in between.
aml::Bytes pci_routing() {
  std::vector<aml::Bytes> routes;
  for (std::uint32_t device = 1; device < 32; ++device) {
    routes.push_back(aml::package({aml::integer(device << 16 | 0xFFFF), aml::integer(0), aml::integer(0),
                                   aml::integer(kPciFirstGsi + device % kPciGsis)}));
  }
  return aml::package(routes);
}

aml::Bytes pci_bridge() {
  return aml::device(
      "PCI0", aml::concat({
                  aml::named("_HID", aml::eisa_id("PNP0A03")),
                  aml::named("_UID", aml::integer(0)),
                  aml::named("_SEG", aml::integer(0)),
                  aml::named("_BBN", aml::integer(0)),
                  aml::named("_CRS", aml::resources({
                                         aml::bus_numbers(0, 0),
                                         aml::io_ports(kPciConfigPort, 8),
                                         aml::port_window(kPciPortsStart, static_cast<std::uint16_t>(kPciPortsBytes)),
                                         aml::memory_window(static_cast<std::uint32_t>(kPciWindowStart),
                                                            static_cast<std::uint32_t>(kPciWindowBytes)),
                                     })),
                  aml::named("_PRT", pci_routing()),
              }));
}

aml::Bytes serial_port() {
  return aml::device("COM1", aml::concat({
                                 aml::named("_HID", aml::eisa_id("PNP0501")),
                                 aml::named("_UID", aml::integer(1)),
                                 aml::named("_CRS", aml::resources({
                                                        aml::io_ports(kSerialPort, Serial16550::kPorts),
                                                        aml::isa_irq(kSerialGsi),
                                                    })),
                             }));
}

aml::Bytes clock() {
  return aml::device("RTC_", aml::concat({
                                 aml::named("_HID", aml::eisa_id("PNP0B00")),
                                 aml::named("_CRS", aml::resources({
                                                        aml::io_ports(kCmosPort, CmosClock::kPorts),
                                                        aml::isa_irq(kCmosGsi),
                                                    })),
                             }));
}

/// What else is taken: the configuration window (PCI Firmware 3.0 4.1.2 wants it here) and the power registers.
aml::Bytes board() {
  return aml::device("BORD", aml::concat({
                                 aml::named("_HID", aml::eisa_id("PNP0C02")),
                                 aml::named("_UID", aml::integer(0)),
                                 aml::named("_CRS", aml::resources({
                                                        aml::fixed_memory(static_cast<std::uint32_t>(kEcamStart),
                                                                          static_cast<std::uint32_t>(kEcamBytes)),
                                                        aml::io_ports(kPowerPort, AcpiPower::kPorts),
                                                    })),
                             }));
}

aml::Bytes processors(unsigned count) {
  aml::Bytes all;
  for (unsigned i = 0; i < count; ++i) {
    constexpr char kDigits[] = "0123456789ABCDEF";
    const std::string name = {'C', '0', kDigits[i >> 4], kDigits[i & 0xF]};
    all = aml::concat({all, aml::device(name, aml::concat({
                                                  aml::named("_HID", aml::string("ACPI0007")),
                                                  aml::named("_UID", aml::integer(i)),
                                              }))});
  }
  return all;
}

// --- the tables
// ---------------------------------------------------------------------------------------------------------

std::vector<std::byte> facs() {
  Table table(64);  // 5.2.10; has a header of its own, without checksum
  return table.text(0, "FACS").put<std::uint32_t>(4, 64).put<std::uint8_t>(32, 2).bytes();
}

std::vector<std::byte> fadt(std::uint64_t facs_address, std::uint64_t dsdt_address) {
  constexpr std::uint32_t kFlags = 1U << 0 |   // WBINVD works
                                   1U << 2 |   // C1 on every processor
                                   1U << 5 |   // no fixed sleep button; the power button (bit 4 clear) is one
                                   1U << 6 |   // the clock wakes nobody through fixed registers
                                   1U << 8 |   // the timer has 32 bits
                                   1U << 10;   // reset register
  constexpr std::uint16_t kBootFlags = 1U << 0 |  // devices on ISA ports; no keyboard controller (bit 1 clear)
                                       1U << 2;   // no VGA
  constexpr std::uint16_t kNoIdleState = 0xFFFF;  // a latency that rules C2 and C3 out
  Table table = described("FACP", 6, 276);        // 5.2.9
  table.put(36, static_cast<std::uint32_t>(facs_address))
      .put(40, static_cast<std::uint32_t>(dsdt_address))
      .put(46, static_cast<std::uint16_t>(kPowerGsi))
      .put<std::uint32_t>(56, kPowerPort + AcpiPower::kEventBlock)
      .put<std::uint32_t>(64, kPowerPort + AcpiPower::kControlBlock)
      .put<std::uint32_t>(76, kPowerPort + AcpiPower::kTimerBlock)
      .put<std::uint8_t>(88, 4)
      .put<std::uint8_t>(89, 2)
      .put<std::uint8_t>(91, 4)
      .put(96, kNoIdleState)
      .put(98, kNoIdleState)
      .put<std::uint8_t>(108, CmosClock::kCentury)
      .put(109, kBootFlags)
      .put(112, kFlags)
      .port_register(116, kResetControlPort, 8, 1)
      .put<std::uint8_t>(128, kResetControlValue)
      .put<std::uint8_t>(131, 4)  // minor version
      .put(140, dsdt_address)
      .port_register(148, kPowerPort + AcpiPower::kEventBlock, 32, 2)
      .port_register(172, kPowerPort + AcpiPower::kControlBlock, 16, 2)
      .port_register(208, kPowerPort + AcpiPower::kTimerBlock, 32, 3);
  return finish(std::move(table));
}

std::vector<std::byte> madt(unsigned vcpus) {
  constexpr std::uint32_t kLocalApic = 0xFEE0'0000;
  constexpr std::uint32_t kIoApic = 0xFEC0'0000;
  Table table = described("APIC", 5);                            // 5.2.12
  table.append(kLocalApic).append<std::uint32_t>(1);             // there are 8259s too
  for (unsigned id = 0; id < vcpus; ++id) {                      // 5.2.12.2
    table.append<std::uint8_t>(0).append<std::uint8_t>(8).append(static_cast<std::uint8_t>(id));
    table.append(static_cast<std::uint8_t>(id)).append<std::uint32_t>(1);
  }
  table.append<std::uint8_t>(1).append<std::uint8_t>(12).append<std::uint16_t>(0);  // 5.2.12.3
  table.append(kIoApic).append<std::uint32_t>(0);
  const auto override_source = [&](std::uint8_t irq, std::uint32_t gsi, std::uint16_t flags) {  // 5.2.12.5
    table.append<std::uint8_t>(2).append<std::uint8_t>(10).append<std::uint8_t>(0).append(irq).append(gsi).append(
        flags);
  };
  constexpr std::uint16_t kLevelHigh = 0xD;
  override_source(0, 2, 0);
  override_source(kPowerGsi, kPowerGsi, kLevelHigh);
  table.append<std::uint8_t>(4).append<std::uint8_t>(6).append<std::uint8_t>(0xFF).append<std::uint16_t>(0);
  table.append<std::uint8_t>(1);  // 5.2.12.7: LINT1 of every processor is NMI
  return finish(std::move(table));
}

std::vector<std::byte> mcfg() {
  Table table = described("MCFG", 1, kHeaderBytes + 8 + 16);  // PCI Firmware 3.0 4.1.2; bus 0 to bus 0
  return finish(std::move(table.put(kHeaderBytes + 8, kEcamStart)));
}

std::vector<std::byte> xsdt(std::span<const std::uint64_t> tables) {
  Table table = described("XSDT", 1);  // 5.2.8
  for (const std::uint64_t address : tables)
    table.append(address);
  return finish(std::move(table));
}

constexpr std::size_t kRsdpBytes = 36;

std::vector<std::byte> rsdp(std::uint64_t xsdt_address) {
  Table table(kRsdpBytes);  // 5.2.5.3
  table.text(0, "RSD PTR ").text(9, "PTCHBY").put<std::uint8_t>(15, 2).put<std::uint32_t>(20, kRsdpBytes);
  return table.put(24, xsdt_address).checksum(8, 20).checksum(32, kRsdpBytes).bytes();
}

}  // namespace

std::vector<std::byte> acpi_dsdt(const AcpiMachine& machine) {
  Table table = described("DSDT", 2);
  // S5 only (7.4.1): what goes into SLP_TYP to switch off.
  table.append_bytes(aml::named("_S5_", aml::package({aml::integer(AcpiPower::kSoftOff), aml::integer(0),
                                                      aml::integer(0), aml::integer(0)})));
  table.append_bytes(aml::scope(
      "\\_SB_", aml::concat({processors(machine.vcpus), pci_bridge(), serial_port(), clock(), board()})));
  return finish(std::move(table));
}

std::vector<std::byte> acpi_tables(const AcpiMachine& machine, std::uint64_t start) {
  std::vector<std::byte> all(64);  // the RSDP goes to the front in the end
  const auto place = [&](const std::vector<std::byte>& table) {
    all.resize((all.size() + 63) & ~std::size_t{63});
    const std::uint64_t address = start + all.size();
    all.insert(all.end(), table.begin(), table.end());
    return address;
  };
  const std::uint64_t facs_address = place(facs());
  const std::uint64_t dsdt_address = place(acpi_dsdt(machine));
  const std::array<std::uint64_t, 3> described_tables{place(fadt(facs_address, dsdt_address)),
                                                      place(madt(machine.vcpus)), place(mcfg())};
  const std::vector<std::byte> pointer = rsdp(place(xsdt(described_tables)));
  std::memcpy(all.data(), pointer.data(), pointer.size());
  return all;
}

std::uint64_t place_acpi_tables(const AcpiMachine& machine, const devices::GuestMemory& memory) {
  const std::vector<std::byte> tables = acpi_tables(machine, kAcpiStart);
  std::byte* const host = memory.translate(kAcpiStart, tables.size());
  if (tables.size() > kAcpiBytes || host == nullptr)
    throw ImageError("the ACPI tables do not fit in the guest's memory; give the node more memory");
  std::memcpy(host, tables.data(), tables.size());
  return kAcpiStart;
}

}  // namespace patchbay::vmm
