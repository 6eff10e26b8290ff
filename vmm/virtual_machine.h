// A virtual machine: configuration, the machine built from it, and its power switch. Knows PCI functions, not
// what they do; in particular nothing of networks.
//
// Threads: control functions (power_on ... resume, destructor) from any thread, one at a time (a mutex sees
// to it), but never from a callback of VmConfig or a device. Everything else from any thread. While off, a
// machine has neither threads nor kernel objects of KVM, and its memory is given back. (A machine whose guest has reset
// itself keeps the thread that started it anew.)
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "devices/pci/function.h"
#include "vmm/elf_image.h"
#include "vmm/guest_ram.h"
#include "vmm/kvm.h"
#include "vmm/pvh.h"
#include "vmm/vcpu.h"

namespace patchbay::vmm {

struct Board;

/// A wrong configuration or a control function at the wrong time; what() says what would be right.
class VmError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class VmState { off, running, paused, crashed };
[[nodiscard]] const char* to_string(VmState state) noexcept;

enum class Interrupts {
  wake_only,  ///< no interrupt controller: MSI-X messages and console input wake the wait device (port 0x600)
  irqchip,    ///< PIC, I/O APIC, local APICs in the kernel
};

/// What follows when the guest resets the machine (port CF9, keyboard controller).
enum class OnGuestReset {
  restart,    ///< it starts anew, as a PC does; the state stays `running`
  power_off,  ///< it is off
};

struct VmStatus {
  VmState state = VmState::off;
  std::optional<std::uint32_t> exit_status;  ///< if the guest switched itself off through the exit port
  std::string failure;                       ///< cause and registers, if crashed
};

struct VmConfig {
  std::string name;
  unsigned vcpus = 1;  ///< more than one needs Interrupts::irqchip
  std::uint64_t memory_bytes = 32ULL << 20;
  HugePages huge_pages = HugePages::if_available;
  std::uint64_t prefault_bytes = 0;  ///< RAM touched at every power-on, from address 0
  /// From load_kernel() (vmm/kernel/linux_image.h); machines may share it, and the modules' contents.
  std::shared_ptr<const ElfImage> kernel;
  /// With Interrupts::wake_only the machine puts "ecam=0x... tsc_khz=... wait=0x600" in front.
  std::string command_line;
  std::vector<BootModule> modules;  ///< for Linux: one, the initrd
  Interrupts interrupts = Interrupts::irqchip;
  OnGuestReset on_guest_reset = OnGuestReset::restart;
  /// Device i + 1 on bus 0, in this order. The machine keeps them attached until it is destroyed; whoever
  /// else uses them (a switch) must have let go by then.
  std::vector<std::shared_ptr<devices::pci::Function>> functions;
  /// Serial output; on a vCPU thread, must be quick.
  std::function<void(std::span<const std::byte>)> console_output;
  /// After every change of state; on a vCPU thread, the one in a control function, or the one that starts the machine
  /// anew after a reset by the guest. Must not call control functions.
  std::function<void(const VmStatus&)> on_state_change;
};

struct VmStatistics {
  ExitCounts exits{};                    ///< since the last power-on, all vCPUs
  std::uint64_t guest_resets = 0;        ///< since the machine was made
  std::uint64_t unclaimed_accesses = 0;  ///< ports and addresses where nothing answers
};

class VirtualMachine final : private VcpuOwner {
 public:
  /// Builds the machine, switched off. Throws VmError, or std::system_error when the host lacks resources.
  VirtualMachine(const KvmSystem& kvm, VmConfig config);
  ~VirtualMachine() override;  // switches off without calling on_state_change
  VirtualMachine(const VirtualMachine&) = delete;
  VirtualMachine& operator=(const VirtualMachine&) = delete;

  /// From off or crashed. Throws VmError, ImageError or std::system_error; the machine is off then.
  void power_on();
  /// Pulls the plug; from any state. The guest is not asked.
  void power_off();
  /// The guest starts anew, from any state.
  void reset();
  /// From running. When it returns the guest executes nothing any more; devices go on. With Interrupts::irqchip the
  /// guest's clocks (kvmclock, TSC) stand still until resume().
  void pause();
  /// From paused.
  void resume();
  /// Tells the guest that its user wants it off: the ACPI power button, or with Interrupts::wake_only that bit of the
  /// wait device. Whether it obeys is up to the guest. False while the machine is off.
  bool press_power_button();

  /// Bytes for the guest's serial port; returns how many were taken.
  std::size_t console_input(std::span<const std::byte> data);

  [[nodiscard]] const std::string& name() const noexcept { return config_.name; }
  [[nodiscard]] VmStatus status() const;
  [[nodiscard]] VmState state() const { return status().state; }
  [[nodiscard]] VmStatistics statistics() const;
  [[nodiscard]] const devices::GuestMemory& memory() const noexcept { return ram_.view(); }

 private:
  struct Powered;  // what exists while switched on: the KVM machine and its vCPUs

  enum class Ending { none, power_off, reset, destroyed, guest_exit, guest_off, guest_reset, crash };

  [[nodiscard]] static VmConfig checked(VmConfig config);
  void boot();
  void create_vcpus(Powered& powered);
  [[nodiscard]] std::string full_command_line(std::uint32_t tsc_khz) const;
  /// Ends the guest if it runs, and takes the KVM machine down.
  void stop(Ending ending);
  /// First cause wins; all vCPUs are told to end.
  void end(Ending ending, std::uint32_t exit_status, std::string failure) noexcept;
  /// Starts the machine anew if its guest has reset it; false if there was nothing to do.
  bool finish_guest_reset();
  void request_restart() noexcept;
  void keep_running();  // the thread that does it
  void set_status(VmStatus status);
  [[nodiscard]] std::string described() const;

  // VcpuOwner, on vCPU threads
  bool port(std::uint16_t port, bool write, std::size_t size, std::span<std::byte> data,
            const std::atomic<bool>& interrupted, ExitKind& kind) noexcept override;
  void memory_read(std::uint64_t address, std::span<std::byte> data) noexcept override;
  void memory_write(std::uint64_t address, std::span<const std::byte> data) noexcept override;
  void guest_shutdown() noexcept override;
  void guest_reset() noexcept override;
  void vcpu_failed(std::string text) noexcept override;
  void vcpu_ended() noexcept override;

  const KvmSystem& kvm_;
  const VmConfig config_;
  GuestRam ram_;
  std::unique_ptr<Board> board_;

  std::mutex control_mutex_;  // one control function at a time
  std::atomic<unsigned> live_vcpus_{0};
  std::atomic<std::uint64_t> unclaimed_accesses_{0};
  std::atomic<std::uint64_t> guest_resets_{0};

  std::mutex keeper_mutex_;  // the next four
  std::condition_variable keeper_wake_;
  bool restart_wanted_ = false;
  bool keeper_stopping_ = false;
  std::thread keeper_;

  mutable std::mutex status_mutex_;  // everything below
  std::unique_ptr<Powered> powered_;
  VmStatus status_;
  ExitCounts last_exits_{};
  Ending ending_ = Ending::none;
  std::uint32_t exit_status_ = 0;
  std::string failure_;
};

}  // namespace patchbay::vmm
