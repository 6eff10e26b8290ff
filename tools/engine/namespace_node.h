// A `linux` node of the lab: a network namespace whose interfaces are TAPs of the switch.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "tools/engine/engine_node.h"
#include "tools/lab/model.h"
#include "tools/node/linux_node.h"
#include "vswitch/tap_port.h"

namespace patchbay::tools {

class NamespaceNode final : public EngineNode {
 public:
  /// Creates namespace and interfaces; `node` outlives it. Throws NodeError and what TapPort throws.
  NamespaceNode(const Node& node, const std::string& hosts_file);

  [[nodiscard]] pid_t pid() const noexcept { return linux_.pid(); }

  [[nodiscard]] vswitch::Port& port(std::size_t index) override { return *taps_[index]; }
  [[nodiscard]] std::string_view hardware(std::size_t) const override { return "tap"; }
  /// Sets the interfaces up.
  void start() override;
  /// Its ports are used by nobody else.
  void stop() noexcept override {}
  /// Runs the list and waits for it.
  void run_startup_commands() override;
  [[nodiscard]] control::Json facts() const override;

 private:
  const Node& node_;
  LinuxNode linux_;
  std::vector<std::unique_ptr<vswitch::TapPort>> taps_;  // by interface
};

}  // namespace patchbay::tools
