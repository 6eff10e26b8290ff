#include "vmm/cpuid.h"

#include <algorithm>
#include <bit>

namespace patchbay::vmm {
namespace {

constexpr std::uint32_t kFeatureX2Apic = 1U << 21;       // leaf 1 ECX
constexpr std::uint32_t kFeatureTscDeadline = 1U << 24;  // leaf 1 ECX
constexpr std::uint32_t kFeatureHypervisor = 1U << 31;   // leaf 1 ECX
constexpr std::uint32_t kFeatureHtt = 1U << 28;          // leaf 1 EDX

constexpr std::uint32_t kHypervisorBase = 0x4000'0000;
constexpr std::uint32_t kHypervisorTiming =
    0x4000'0010;  // EAX: TSC kHz (the convention of VMware, read by BSDs too)

}  // namespace

CpuidEntries guest_cpuid(const CpuidEntries& host, unsigned vcpu, unsigned vcpus, std::uint32_t tsc_khz,
                         bool local_apic) {
  CpuidEntries guest = host;
  bool has_timing = false;
  for (kvm_cpuid_entry2& leaf : guest) {
    switch (leaf.function) {
      case 0x1:
        leaf.ebx = (leaf.ebx & 0x0000'FFFF) | (vcpu & 0xFF) << 24 | std::min(vcpus, 255U) << 16;
        leaf.ecx |= kFeatureHypervisor;
        if (local_apic) {
          leaf.ecx |= kFeatureTscDeadline;  // KVM's local APIC has it, the leaf is not told so
        } else {
          leaf.ecx &= ~(kFeatureX2Apic | kFeatureTscDeadline);
        }
        leaf.edx = vcpus > 1 ? leaf.edx | kFeatureHtt : leaf.edx & ~kFeatureHtt;
        break;
      case 0xB:  // topology: one package, every processor a core
      case 0x1F:
        leaf.edx = vcpu;
        if (leaf.index == 0) {
          leaf.eax = 0;
          leaf.ebx = 1;
          leaf.ecx = 1U << 8;
        } else if (leaf.index == 1) {
          leaf.eax = static_cast<std::uint32_t>(std::bit_width(vcpus - 1));
          leaf.ebx = vcpus;
          leaf.ecx = 1U | 2U << 8;
        }
        break;
      case kHypervisorBase:
        leaf.eax = std::max(leaf.eax, kHypervisorTiming);
        break;
      case kHypervisorTiming:
        has_timing = true;
        leaf.eax = tsc_khz;
        break;
      default:
        break;
    }
  }
  if (!has_timing) {
    kvm_cpuid_entry2 timing{};
    timing.function = kHypervisorTiming;
    timing.eax = tsc_khz;
    guest.push_back(timing);
  }
  return guest;
}

}  // namespace patchbay::vmm
