// The ACPI tables of a machine with interrupt controllers (ACPI 6.4): RSDP, XSDT, FADT, FACS, MADT, MCFG and the DSDT
// with the PCI host bridge, its interrupt routing, the serial port and the clock. They describe what memory_map.h
// and the platform devices say; an operating system needs no command-line switches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "devices/guest_memory.h"

namespace patchbay::vmm {

struct AcpiMachine {
  unsigned vcpus = 1;  ///< APIC identifiers 0 to vcpus - 1
};

/// One contiguous block for guest address `start` (64-byte aligned), which is also that of the RSDP.
[[nodiscard]] std::vector<std::byte> acpi_tables(const AcpiMachine& machine, std::uint64_t start);

/// The definition block alone, for tests with other implementations of ACPI.
[[nodiscard]] std::vector<std::byte> acpi_dsdt(const AcpiMachine& machine);

/// Places the tables in guest memory; returns the address of the RSDP. Throws ImageError if there is no room.
std::uint64_t place_acpi_tables(const AcpiMachine& machine, const devices::GuestMemory& memory);

}  // namespace patchbay::vmm
