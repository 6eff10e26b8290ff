// Where things lie in a guest's physical address space and port space. One table, so that overlaps can be
// seen.
#pragma once

#include <cstdint>

namespace patchbay::vmm {

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;
inline constexpr std::uint64_t kPageBytes = 4096;

// --- physical addresses
// ------------------------------------------------------------------------------------------
/// RAM starts at 0. PVH boot information lies in the first 640 KiB, kernels at 1 MiB or above.
inline constexpr std::uint64_t kBootInfoStart = 0x6000;
inline constexpr std::uint64_t kLowMemoryEnd = 0x9F000;
inline constexpr std::uint64_t kHighMemoryStart = 1 * kMiB;
/// The task state segment that the machine starts with, in the reserved part below 1 MiB: 104 bytes, then a
/// bit per port, all clear (allowed), and the terminating byte. See set_pvh_state().
inline constexpr std::uint64_t kTaskState = kLowMemoryEnd;
inline constexpr std::uint64_t kTaskStateBytes = 104 + 65536 / 8 + 1;
/// ACPI tables, where firmware has them too; the memory map calls this part reserved. The RSDP is at the start.
inline constexpr std::uint64_t kAcpiStart = 0xE'0000;
inline constexpr std::uint64_t kAcpiBytes = 64 * kKiB;
/// RAM beyond this address continues at 4 GiB: the hole is for devices.
inline constexpr std::uint64_t kHoleStart = 3 * kGiB;
inline constexpr std::uint64_t kHoleEnd = 4 * kGiB;
/// BARs.
inline constexpr std::uint64_t kPciWindowStart = 0xC000'0000;
inline constexpr std::uint64_t kPciWindowBytes = 512 * kMiB;
/// Enhanced configuration access, bus 0 only: 32 devices of 8 functions of 4 KiB.
inline constexpr std::uint64_t kEcamStart = 0xE000'0000;
inline constexpr std::uint64_t kEcamBytes = 1 * kMiB;
/// Pages that Intel processors need to emulate real mode (KVM_SET_IDENTITY_MAP_ADDR, KVM_SET_TSS_ADDR).
inline constexpr std::uint64_t kIdentityMapPage = 0xFFFB'C000;
inline constexpr std::uint64_t kTssPages = 0xFFFB'D000;

// --- ports
// -------------------------------------------------------------------------------------------------------
inline constexpr std::uint16_t kKeyboardCommandPort = 0x64;
inline constexpr std::uint16_t kCmosPort = 0x70;
inline constexpr std::uint16_t kSerialPort = 0x3F8;
inline constexpr std::uint16_t kWaitPort = 0x600;
inline constexpr std::uint16_t kExitPort = 0x608;
inline constexpr std::uint16_t kPowerPort = 0x620;
inline constexpr std::uint16_t kPciConfigPort = 0xCF8;
/// Within the configuration ports: a byte with bit 2 set resets the machine, as on every chipset of Intel's.
inline constexpr std::uint16_t kResetControlPort = 0xCF9;
inline constexpr std::uint8_t kResetControlValue = 0x06;
/// I/O BARs.
inline constexpr std::uint16_t kPciPortsStart = 0xC000;
inline constexpr std::uint32_t kPciPortsBytes = 0x3F00;

// --- interrupts, where the machine has controllers
// -----------------------------------------------------------------
inline constexpr std::uint32_t kSerialGsi = 4;
inline constexpr std::uint32_t kCmosGsi = 8;
inline constexpr std::uint32_t kPowerGsi = 9;  // the SCI of ACPI
/// INTA# of PCI device n is kPciFirstGsi + n % kPciGsis.
inline constexpr std::uint32_t kPciFirstGsi = 16;
inline constexpr std::uint32_t kPciGsis = 8;
inline constexpr std::uint32_t kIoApicPins = 24;

// --- memory slots of KVM
// -----------------------------------------------------------------------------------------
inline constexpr std::uint32_t kSlotLowRam = 0;
inline constexpr std::uint32_t kSlotHighRam = 1;
inline constexpr std::uint32_t kSlotEcam = 2;

}  // namespace patchbay::vmm
