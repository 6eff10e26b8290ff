#include "tools/engine/engine_choice.h"

namespace patchbay::tools {

EngineChoice choose_engine(VmEngine wanted, vmm::HostKind host) {
  if (wanted != VmEngine::automatic) return {wanted, "the lab file says so"};
  switch (host) {
    case vmm::HostKind::full:
      return {VmEngine::kvm, "this host has hardware virtualization"};
    case vmm::HostKind::user_mode_only:
      return {VmEngine::qemu, "this host's KVM emulates supervisor mode"};
    case vmm::HostKind::none:
      break;
  }
  return {VmEngine::qemu, "this host has no usable KVM"};
}

}  // namespace patchbay::tools
