#include "vmm/board.h"

#include <utility>

#include "vmm/kvm.h"
#include "vmm/memory_map.h"
#include "vmm/virtual_machine.h"

namespace patchbay::vmm {

Board::Board(const VmConfig& config, const devices::GuestMemory& memory, const Requests& requests)
    : exit(requests.exit), pci(config.functions) {
  Serial16550::Host host;
  host.output = config.console_output;
  if (config.interrupts == Interrupts::wake_only) {
    wait = std::make_unique<WaitDevice>(memory);
    wake_msi = std::make_unique<WakeOnlyMsi>(*wait);
    space.add_ports(kWaitPort, WaitDevice::kPorts, *wait, "wait device");
    host.input_arrived = [this] { wait->signal(Wake::console_input); };
  } else {
    router = std::make_unique<InterruptRouter>();
    serial_pin = std::make_unique<LinePin>(*router, kSerialGsi);
    host.pin = serial_pin.get();
    add_pc_devices(requests);
  }
  serial = std::make_unique<Serial16550>(std::move(host));
  space.add_ports(kSerialPort, Serial16550::kPorts, *serial, "serial port");
  space.add_ports(kExitPort, ExitPort::kPorts, exit, "exit port");
  pci.add_to(space);
  attach_functions(memory);
}

// What operating systems expect on a PC besides the interrupt controllers and timers that KVM has.
void Board::add_pc_devices(const Requests& requests) {
  power_pin = std::make_unique<LinePin>(*router, kPowerGsi);
  power = std::make_unique<AcpiPower>(*power_pin, requests.off);
  space.add_ports(kPowerPort, AcpiPower::kPorts, *power, "ACPI power management");
  clock_pin = std::make_unique<LinePin>(*router, kCmosGsi);
  clock = std::make_unique<CmosClock>(*clock_pin);
  space.add_ports(kCmosPort, CmosClock::kPorts, *clock, "CMOS clock");
  keyboard = std::make_unique<KeyboardController>(requests.reset);
  space.add_ports(kKeyboardCommandPort, KeyboardController::kPorts, *keyboard, "keyboard controller");
  pci.on_reset_control(requests.reset);
}

void Board::attach_functions(const devices::GuestMemory& memory) {
  std::vector<devices::pci::Attachment> attachments;
  for (std::size_t i = 0; i < pci.functions().size(); ++i) {
    devices::pci::Attachment attachment{&memory, wake_msi.get(), nullptr, &doorbells};
    if (router != nullptr) {
      const auto gsi = kPciFirstGsi + static_cast<std::uint32_t>(i + 1) % kPciGsis;
      msi.push_back(std::make_unique<IrqfdMsi>(*router, pci.functions()[i]->msix_vectors()));
      pins.push_back(std::make_unique<LinePin>(*router, gsi));
      attachment.msi = msi.back().get();
      attachment.pin = pins.back().get();
    }
    attachments.push_back(attachment);
  }
  pci.attach(attachments);
}

void Board::connect(KvmVm* vm) {
  if (router) router->connect(vm);
  doorbells.connect(vm);
}

void Board::reset() noexcept {
  pci.reset();
  serial->reset();
  if (power) power->reset();
  if (clock) clock->reset();
  if (wait) wait->reset();
  doorbells.connect(nullptr);
  if (router) router->connect(nullptr);
}

}  // namespace patchbay::vmm
