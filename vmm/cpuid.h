// The CPUID leaves a guest sees: the host's as far as KVM supports them, with what belongs to the virtual
// machine put right (number of processors, APIC identifiers, hypervisor bit, TSC frequency).
#pragma once

#include <cstdint>

#include "vmm/kvm.h"

namespace patchbay::vmm {

/// `host` is KvmSystem::supported_cpuid(). `local_apic`: the machine has an in-kernel local APIC.
[[nodiscard]] CpuidEntries guest_cpuid(const CpuidEntries& host, unsigned vcpu, unsigned vcpus,
                                       std::uint32_t tsc_khz, bool local_apic);

}  // namespace patchbay::vmm
