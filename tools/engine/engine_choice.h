// Which engine runs a vm, and why: what the lab file says, else what the host can.
#pragma once

#include <string>

#include "tools/lab/model.h"
#include "vmm/host_probe.h"

namespace patchbay::tools {

struct EngineChoice {
  VmEngine engine = VmEngine::kvm;  // kvm or qemu
  std::string reason;               // as `inspect` shows it, such as "this host has no usable KVM"
};

/// `wanted` is the lab file's word. Says nothing about whether the host has the engine.
[[nodiscard]] EngineChoice choose_engine(VmEngine wanted, vmm::HostKind host);

}  // namespace patchbay::tools
