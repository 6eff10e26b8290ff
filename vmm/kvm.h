// RAII over /dev/kvm: the system, a virtual machine, a virtual processor, each the owner of one descriptor,
// with one member function per ioctl used here (Linux Documentation/virt/kvm/api.rst). No policy: what a
// machine looks like is decided in virtual_machine.cpp.
//
// Errors: std::system_error with the ioctl's purpose; opening /dev/kvm throws KvmUnavailable, whose text
// names the fix.
#pragma once

#include <linux/kvm.h>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "devices/bus.h"
#include "devices/memory_mapping.h"

namespace patchbay::vmm {

using devices::FileDescriptor;
using devices::MemoryMapping;

/// /dev/kvm cannot be used at all; what() says why and what to do about it.
class KvmUnavailable : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Entries of KVM_SET_CPUID2 and the like.
using CpuidEntries = std::vector<kvm_cpuid_entry2>;

class KvmVcpu {
 public:
  KvmVcpu(FileDescriptor fd, std::size_t run_bytes);

  /// KVM_RUN. 0, or the errno value: EINTR after a signal.
  [[nodiscard]] int run() noexcept;
  [[nodiscard]] kvm_run& shared() noexcept { return *reinterpret_cast<kvm_run*>(run_page_.data()); }

  void set_cpuid(CpuidEntries entries);
  [[nodiscard]] kvm_regs regs() const;
  void set_regs(const kvm_regs& regs);
  [[nodiscard]] kvm_sregs sregs() const;
  void set_sregs(const kvm_sregs& sregs);
  /// Model-specific registers, by index. Throws std::system_error at the first that the kernel does not take.
  void set_msrs(std::span<const std::pair<std::uint32_t, std::uint64_t>> values);
  /// Tells a guest with kvmclock that it was stopped, so that its watchdogs do not bark. Nothing happens without one.
  void note_paused() noexcept;
  /// Signals blocked while the guest runs, as a kernel signal set (bit n-1 for signal n).
  void set_signal_mask(std::uint64_t blocked);
  [[nodiscard]] std::uint32_t tsc_khz() const;
  /// Guest TSC = host TSC + offset. False where the kernel cannot (before 5.16).
  [[nodiscard]] bool set_tsc_offset(std::int64_t offset) noexcept;

 private:
  FileDescriptor fd_;
  MemoryMapping run_page_;
};

class KvmVm {
 public:
  KvmVm(FileDescriptor fd, std::size_t run_bytes) : fd_(std::move(fd)), run_bytes_(run_bytes) {}

  [[nodiscard]] int check_extension(unsigned capability) const noexcept;
  /// Maps `host` at `guest_address`; `flags` is 0 or KVM_MEM_READONLY. The memory must stay mapped as long as
  /// the VM.
  void set_memory(std::uint32_t slot, std::uint32_t flags, std::uint64_t guest_address,
                  std::span<const std::byte> host);
  /// Addresses of the pages that Intel processors need for real mode; ignored elsewhere. Before
  /// create_vcpu().
  void set_reserved_pages(std::uint64_t identity_map, std::uint64_t tss);
  /// PIC, I/O APIC and local APICs in the kernel. Before create_vcpu().
  void create_irqchip();
  /// The interval timer (8254) and port 0x61 in the kernel. After create_irqchip().
  void create_interval_timer();
  [[nodiscard]] KvmVcpu create_vcpu(unsigned id);
  /// kvmclock, in nanoseconds; 0 where there is none.
  [[nodiscard]] std::uint64_t clock() const noexcept;
  void set_clock(std::uint64_t nanoseconds) noexcept;

  /// Guest writes of any width to `address` signal `event_fd`. 0 or the errno value.
  [[nodiscard]] int assign_ioeventfd(std::uint64_t address, int event_fd) noexcept;
  void deassign_ioeventfd(std::uint64_t address, int event_fd) noexcept;
  /// Signals of `event_fd` inject `gsi` as an edge.
  void assign_irqfd(std::uint32_t gsi, int event_fd);
  void set_gsi_routing(std::span<const kvm_irq_routing_entry> entries);
  void set_irq_line(std::uint32_t gsi, bool level) noexcept;

 private:
  void ioctl_or_throw(unsigned long request, void* argument, const char* purpose) const;

  FileDescriptor fd_;
  std::size_t run_bytes_;
};

/// Threads: any.
class KvmSystem {
 public:
  /// Opens `path`; throws KvmUnavailable.
  explicit KvmSystem(const std::string& path = "/dev/kvm");

  [[nodiscard]] KvmVm create_vm() const;
  /// Has the next `count` machines in stock for create_vm(), whatever else this process does until then. A new
  /// machine makes the kernel lock every memory mapping of the process, one by one: a process that will have many
  /// machines asks for all of them before it maps their memory and starts their threads.
  void stock(std::size_t count);
  [[nodiscard]] int check_extension(unsigned capability) const noexcept;
  /// KVM_GET_SUPPORTED_CPUID: what the host can give a guest.
  [[nodiscard]] CpuidEntries supported_cpuid() const;

 private:
  [[nodiscard]] FileDescriptor create() const;

  FileDescriptor fd_;
  std::size_t run_bytes_ = 0;
  mutable std::mutex mutex_;
  mutable std::vector<FileDescriptor> stock_;
};

}  // namespace patchbay::vmm
