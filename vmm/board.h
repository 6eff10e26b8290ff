// What a virtual machine keeps from one power-on to the next besides its memory: address space, platform
// devices, PCI. One of two kinds, which VmConfig::interrupts tells.
//
// Threads: accesses of guests from vCPU threads; connect() and reset() while none runs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "devices/guest_memory.h"
#include "vmm/address_space.h"
#include "vmm/doorbells.h"
#include "vmm/interrupts.h"
#include "vmm/pci_host.h"
#include "vmm/platform/acpi_power.h"
#include "vmm/platform/cmos_clock.h"
#include "vmm/platform/exit_port.h"
#include "vmm/platform/keyboard_controller.h"
#include "vmm/platform/serial_16550.h"
#include "vmm/platform/wait_device.h"
#include "vmm/platform/wake_only_msi.h"

namespace patchbay::vmm {

class KvmVm;
struct VmConfig;

struct Board {
  /// What a guest can do to its machine; on vCPU threads.
  struct Requests {
    std::function<void(std::uint32_t)> exit;
    std::function<void()> off;
    std::function<void()> reset;
  };

  Board(const VmConfig& config, const devices::GuestMemory& memory, const Requests& requests);

  /// Interrupts and doorbells go to this machine from here on.
  void connect(KvmVm* vm);
  /// As after power-on, and connected to no machine.
  void reset() noexcept;

  AddressSpace space;
  KvmDoorbells doorbells;
  std::unique_ptr<WaitDevice> wait;         // wake_only
  std::unique_ptr<WakeOnlyMsi> wake_msi;    // wake_only
  std::unique_ptr<InterruptRouter> router;  // irqchip, like everything up to `pins`
  std::unique_ptr<LinePin> power_pin;
  std::unique_ptr<AcpiPower> power;
  std::unique_ptr<LinePin> clock_pin;
  std::unique_ptr<CmosClock> clock;
  std::unique_ptr<KeyboardController> keyboard;
  std::unique_ptr<LinePin> serial_pin;
  std::vector<std::unique_ptr<IrqfdMsi>> msi;
  std::vector<std::unique_ptr<LinePin>> pins;
  std::unique_ptr<Serial16550> serial;
  ExitPort exit;
  PciHost pci;

 private:
  void add_pc_devices(const Requests& requests);
  void attach_functions(const devices::GuestMemory& memory);
};

}  // namespace patchbay::vmm
