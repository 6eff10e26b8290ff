// The power switch of a virtual machine, whoever runs it: our own VMM or QEMU.
//
// Threads: everything on the engine's main thread, but for power_on() and power_off() of nodes that are independent
// (engine_node.h).
#pragma once

#include "vmm/virtual_machine.h"

namespace patchbay::tools {

class PowerSwitch {
 public:
  virtual ~PowerSwitch() = default;

  [[nodiscard]] virtual vmm::VmStatus status() const = 0;
  [[nodiscard]] vmm::VmState state() const { return status().state; }

  /// The actions throw, with the way out, in a state in which they make no sense; see vmm::VirtualMachine for what that
  /// is. pause() and resume() may take a moment beyond their return: state() tells.
  virtual void power_on() = 0;
  virtual void power_off() = 0;
  virtual void reset() = 0;
  virtual void pause() = 0;
  virtual void resume() = 0;
  /// False if there is nobody to take notice.
  virtual bool press_power_button() = 0;
};

/// Of a machine in this process, which outlives it.
class KvmPowerSwitch final : public PowerSwitch {
 public:
  explicit KvmPowerSwitch(vmm::VirtualMachine& machine) : machine_(machine) {}

  [[nodiscard]] vmm::VmStatus status() const override { return machine_.status(); }
  void power_on() override { machine_.power_on(); }
  void power_off() override { machine_.power_off(); }
  void reset() override { machine_.reset(); }
  void pause() override { machine_.pause(); }
  void resume() override { machine_.resume(); }
  bool press_power_button() override { return machine_.press_power_button(); }

 private:
  vmm::VirtualMachine& machine_;
};

}  // namespace patchbay::tools
