// The PCI host bridge of the machine: one bus, device 0 the bridge itself, devices 1 to 31 the functions
// plugged in. Configuration space is reached through the ECAM window (PCI Express base 4.0 7.2.2) and through
// ports CF8/CFC (PCI 3.0 3.2.2.3.2); BAR accesses are routed by where the functions' BARs stand at that
// moment. Plays the firmware's part of assigning BARs, so guests need not.
//
// ECAM reads can be free: ecam_view() is host memory that shows the whole window, functions' configuration
// pages included, for a single read-only memory slot. Writes still arrive here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "devices/memory_mapping.h"
#include "devices/pci/function.h"
#include "vmm/address_space.h"

namespace patchbay::vmm {

class PciHost {
 public:
  static constexpr std::size_t kMaxFunctions = 31;

  /// `functions[i]` becomes device i + 1, function 0. More than 31 throw std::runtime_error.
  explicit PciHost(std::vector<std::shared_ptr<devices::pci::Function>> functions);
  ~PciHost();
  PciHost(const PciHost&) = delete;
  PciHost& operator=(const PciHost&) = delete;

  /// Claims the ECAM window, the BAR windows and CF8/CFC.
  void add_to(AddressSpace& space);
  /// What a reset through port CF9 does; on the vCPU thread. Without it such writes are ignored.
  void on_reset_control(std::function<void()> reset);
  /// Plugs every function in; `attachments[i]` is for functions()[i].
  void attach(std::span<const devices::pci::Attachment> attachments);
  /// Gives every BAR an address within the windows and enables decoding; bus mastering is the driver's to
  /// enable. Throws std::runtime_error if the windows are too small.
  void assign_bars();
  /// Power-on state of all functions.
  void reset() noexcept;

  [[nodiscard]] std::span<const std::byte> ecam_view() const noexcept { return view_.bytes(); }
  [[nodiscard]] std::span<const std::shared_ptr<devices::pci::Function>> functions() const noexcept {
    return functions_;
  }

 private:
  class Bridge;
  class Ecam;
  class ConfigPorts;
  class MemoryWindow;
  class PortWindow;

  [[nodiscard]] devices::pci::Function* find(unsigned bus, unsigned device, unsigned function) const noexcept;
  void config_read(std::uint32_t bdf_and_register, std::span<std::byte> data) const noexcept;
  void config_write(std::uint32_t bdf_and_register, std::span<const std::byte> data) const noexcept;
  /// Calls `access(function, bar, offset)` for the BAR that holds the access, or returns false.
  template <typename Access>
  bool with_bar(bool io, std::uint64_t address, std::size_t bytes, Access access) const noexcept;
  void map_view();

  std::vector<std::shared_ptr<devices::pci::Function>> functions_;
  std::unique_ptr<Bridge> bridge_;
  std::unique_ptr<Ecam> ecam_;
  std::unique_ptr<ConfigPorts> config_ports_;
  std::unique_ptr<MemoryWindow> memory_window_;
  std::unique_ptr<PortWindow> port_window_;
  devices::MemoryMapping view_;
};

}  // namespace patchbay::vmm
