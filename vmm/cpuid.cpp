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

/// EAX of a cache leaf: who shares it (bits 14 to 25). First and second level are a processor's own. The number of
/// processors (Intel, bits 26 to 31) is left empty.
std::uint32_t with_sharing(const kvm_cpuid_entry2& leaf, unsigned vcpus) {
  if ((leaf.eax & 0x1F) == 0) return leaf.eax;  // the end of the list
  const std::uint32_t level = leaf.eax >> 5 & 7;
  const std::uint32_t sharing = level >= 3 ? std::min(vcpus - 1, 0xFFFU) : 0;
  return (leaf.eax & 0x3FFF) | sharing << 14;
}

/// Leaves 0xB and 0x1F: thread level, core level, end.
void add_topology(CpuidEntries& guest, std::uint32_t function, unsigned vcpu, unsigned vcpus,
                  std::uint32_t id_bits) {
  constexpr std::uint32_t kThread = 1U << 8;
  constexpr std::uint32_t kCore = 2U << 8;
  const std::uint32_t levels[][3] = {{0, 1, kThread}, {id_bits, vcpus, kCore}, {0, 0, 0}};
  for (std::uint32_t index = 0; index < 3; ++index) {
    kvm_cpuid_entry2 leaf{};
    leaf.function = function;
    leaf.index = index;
    leaf.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
    leaf.eax = levels[index][0];
    leaf.ebx = levels[index][1];
    leaf.ecx = levels[index][2] | index;
    leaf.edx = vcpu;
    guest.push_back(leaf);
  }
}

}  // namespace

CpuidEntries guest_cpuid(const CpuidEntries& host, unsigned vcpu, unsigned vcpus, std::uint32_t tsc_khz,
                         bool local_apic) {
  CpuidEntries guest;
  std::uint32_t last_leaf = 0;
  bool has_timing = false;
  // One package, every processor a core of one thread.
  const auto id_bits = static_cast<std::uint32_t>(std::bit_width(vcpus - 1));
  for (kvm_cpuid_entry2 leaf : host) {
    switch (leaf.function) {
      case 0x0:
        last_leaf = leaf.eax;
        break;
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
      case 0x4:           // Intel's caches
      case 0x8000'001D:   // AMD's
        leaf.eax = with_sharing(leaf, vcpus);
        if (leaf.function == 0x4 && leaf.eax != 0) leaf.eax |= std::min(vcpus - 1, 63U) << 26;
        break;
      case 0xB:
      case 0x1F:
        continue;  // below
      case 0x8000'0008:
        leaf.ecx = (leaf.ecx & ~0xF0FFU) | id_bits << 12 | std::min(vcpus - 1, 255U);
        break;
      case 0x8000'001E:
        leaf.eax = vcpu;
        leaf.ebx = vcpu & 0xFF;
        leaf.ecx = 0;
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
    guest.push_back(leaf);
  }
  for (const std::uint32_t function : {0xBU, 0x1FU}) {
    if (function <= last_leaf) add_topology(guest, function, vcpu, vcpus, id_bits);
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
