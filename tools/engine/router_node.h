// A router of the lab: a virtual machine that runs the appliance, with one virtio-net card per interface.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tools/engine/nic.h"
#include "tools/lab/model.h"
#include "vmm/platform/console_socket.h"
#include "vmm/virtual_machine.h"

namespace patchbay::tools {

class RouterNode {
 public:
  /// Builds the machine, switched off. Throws what vmm throws.
  RouterNode(const vmm::KvmSystem& kvm, std::shared_ptr<const vmm::ElfImage> image, const Node& node,
             const std::string& console_path);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// The port of the node's interface `index`.
  [[nodiscard]] vswitch::Port& port(std::size_t index) noexcept { return nics_[index].port(); }
  [[nodiscard]] vmm::VirtualMachine& machine() noexcept { return *machine_; }
  /// Readable when console().handle() has something to do.
  [[nodiscard]] vmm::ConsoleSocket& console() noexcept { return *console_; }

 private:
  std::string name_;
  std::vector<Nic> nics_;
  std::unique_ptr<vmm::ConsoleSocket> console_;
  std::unique_ptr<vmm::VirtualMachine> machine_;  // last: it uses all of the above
};

}  // namespace patchbay::tools
