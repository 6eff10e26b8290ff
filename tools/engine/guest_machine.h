// What a `vm` node needs of the engine that runs it: KVM in this process (kvm_machine.h), or QEMU (qemu/machine.h). The
// node adds what is the same for both: commands in the guest by its agent, `power`, `inspect` (vm_node.h).
//
// Threads: everything on the engine's main thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tools/control/protocol.h"
#include "tools/engine/agent_line.h"
#include "tools/engine/power_switch.h"
#include "tools/lab/model.h"
#include "vswitch/port.h"

namespace patchbay::tools {

/// Bytes of RAM that a vm has.
[[nodiscard]] inline std::uint64_t memory_of(const Node& node) {
  return node.memory_bytes.value_or(std::uint64_t{512} << 20U);
}

class GuestMachine {
 public:
  virtual ~GuestMachine() = default;

  /// The port of the card for interface `index`, and what the guest takes that card for.
  [[nodiscard]] virtual vswitch::Port& port(std::size_t index) = 0;
  [[nodiscard]] virtual std::string_view hardware(std::size_t index) const = 0;
  /// The carrier of that card came or went, for machines whose guest does not learn it from the port.
  virtual void set_carrier(std::size_t /*index*/, bool /*up*/) {}
  [[nodiscard]] virtual PowerSwitch& power() = 0;
  [[nodiscard]] virtual const PowerSwitch& power() const = 0;
  /// False while it is not yet certain that a machine that was switched on can run at all.
  [[nodiscard]] virtual bool has_started() const { return true; }
  [[nodiscard]] virtual AgentLine& agent_line() = 0;
  [[nodiscard]] virtual const std::string& console_path() const = 0;
  /// What `inspect` shows of the engine alone, beside "engine" and "engine_reason".
  [[nodiscard]] virtual control::Json facts() const { return control::Json::object(); }
};

}  // namespace patchbay::tools
