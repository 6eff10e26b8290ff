// The 64-bit boot protocol of Linux (Documentation/x86/boot.rst, "64-bit boot protocol"; zero page in zero-page.rst):
// for kernels that have no PVH entry. Lays out what load_pvh() does for the others.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "devices/guest_memory.h"
#include "vmm/boot_layout.h"
#include "vmm/elf_image.h"
#include "vmm/kvm.h"

namespace patchbay::vmm {

struct LinuxEntry {
  std::uint64_t instruction_pointer;  // long mode, the first GiB mapped where it is
  std::uint64_t boot_params;          // guest address of the zero page, for RSI
};

/// Fills `memory` and returns the entry state. Throws ImageError if something does not fit; memory may be half filled
/// then. `root_pointer` is the guest address of the ACPI RSDP, or 0.
[[nodiscard]] LinuxEntry load_linux(const ElfImage& kernel, const devices::GuestMemory& memory,
                                    const std::string& command_line, std::span<const BootModule> modules,
                                    std::uint64_t root_pointer = 0);

/// Puts a vCPU into the state that the protocol promises a kernel.
void set_linux_state(KvmVcpu& vcpu, const LinuxEntry& entry);

}  // namespace patchbay::vmm
