// The network card of a virtual machine, made from what the lab file says about an interface: to the switch a
// port, to the machine a PCI function.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "devices/pci/function.h"
#include "tools/lab/model.h"
#include "vswitch/port.h"

namespace patchbay::tools {

struct NicConfig {
  std::string port_name;  // link end, such as "r1:eth0"
  NicModel model = NicModel::virtio_net;
  MacAddress mac{};
  unsigned mtu = kDefaultMtu;
  unsigned queues = 1;             // queue pairs; e1000 has one
  std::uint16_t queue_size = 256;  // of virtio-net; an e1000's driver chooses
  bool offloads = true;  // of virtio-net: checksums and segmentation, both ways; e1000 always has them
  bool packed = true;    // of virtio-net: offers packed rings

  /// What the lab file says about `interface` of node `node_name`.
  [[nodiscard]] static NicConfig of(const std::string& node_name, const Interface& interface);
};

/// Both halves of one card. The switch must have let go of the port before this goes; the machine may keep
/// its share of the function.
class Nic {
 public:
  /// Throws std::runtime_error on a configuration that makes no sense, std::system_error without a descriptor
  /// left.
  explicit Nic(const NicConfig& config);

  [[nodiscard]] NicModel model() const noexcept { return model_; }
  [[nodiscard]] vswitch::Port& port() const noexcept { return *port_; }
  [[nodiscard]] const std::shared_ptr<devices::pci::Function>& function() const noexcept { return function_; }

 private:
  NicModel model_;
  std::shared_ptr<vswitch::Port> port_;
  std::shared_ptr<devices::pci::Function> function_;  // behind port_, which a virtio transport refers to
};

}  // namespace patchbay::tools
