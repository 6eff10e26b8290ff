// The PVH boot protocol (xen/include/public/arch-x86/hvm/start_info.h, version 1; entry state in Xen's
// docs/misc/pvh.pandoc): lays kernel, modules, command line and memory map out in guest memory and says where
// to start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "devices/guest_memory.h"
#include "vmm/boot_layout.h"
#include "vmm/elf_image.h"
#include "vmm/kvm.h"

namespace patchbay::vmm {

struct PvhEntry {
  std::uint32_t instruction_pointer;  // 32-bit protected mode, paging off
  std::uint32_t start_info;           // guest address, for EBX
};

/// Fills `memory` and returns the entry state. Throws ImageError if something does not fit; memory may be
/// half filled then. `root_pointer` is the guest address of the ACPI RSDP, or 0.
[[nodiscard]] PvhEntry load_pvh(const ElfImage& kernel, const devices::GuestMemory& memory,
                                const std::string& command_line, std::span<const BootModule> modules,
                                std::uint64_t root_pointer = 0);

/// Puts a vCPU into the state that PVH promises a kernel. One thing differs: the task register holds the
/// segment that load_pvh() placed in reserved memory instead of an empty one, which opens the ports to user
/// mode on every kind of host, as long as the guest keeps the first 2 MiB mapped where they are and loads no
/// other task register.
void set_pvh_state(KvmVcpu& vcpu, const PvhEntry& entry);

}  // namespace patchbay::vmm
