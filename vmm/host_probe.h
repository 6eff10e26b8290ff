// What kind of host this is, by measuring (never by CPUID): whether KVM works, and whether guest supervisor
// mode runs on the processor or is emulated about a thousand times slower.
#pragma once

#include <chrono>
#include <string>

namespace patchbay::vmm {

enum class HostKind {
  none,            ///< no usable KVM
  user_mode_only,  ///< guest CPL 3 at native speed, CPL 0 emulated: appliances yes, operating systems no
  full,            ///< hardware virtualization
};
[[nodiscard]] const char* to_string(HostKind kind) noexcept;

struct HostProbe {
  HostKind kind = HostKind::none;
  /// If kind is none: why, and what to do about it.
  std::string problem;
  /// From opening /dev/kvm to a vCPU ready to run.
  std::chrono::nanoseconds creation_time{0};
  /// Guest supervisor mode, instructions per second; an upper bound if the loop hit its time limit.
  double supervisor_instructions_per_second = 0;
  bool hit_time_limit = false;
};

/// Takes up to 0.2 s. Never throws: every failure is kind none with its text.
[[nodiscard]] HostProbe probe_host(const std::string& kvm_path = "/dev/kvm") noexcept;

}  // namespace patchbay::vmm
