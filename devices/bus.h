// What a device model and the machine it is plugged into know of each other. The machine (vmm/) implements
// MsiVectors and Doorbells; devices implement MmioDevice. Device models see neither KVM nor the rest of the VMM.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "vswitch/file_descriptor.h"

namespace patchbay::devices {

using vswitch::FileDescriptor;
using vswitch::write_all;

/// Registers in a guest's address space. Calls come from vCPU threads, several at a time; the device locks.
/// `offset` is within the region; data.size() is 1, 2, 4 or 8 but any combination of offset and size may come:
/// answer unmapped reads with all ones or zeros, ignore writes, never throw.
class MmioDevice {
 public:
  virtual ~MmioDevice() = default;
  virtual void read(std::uint64_t offset, std::span<std::byte> data) noexcept = 0;
  virtual void write(std::uint64_t offset, std::span<const std::byte> data) noexcept = 0;
};

/// The MSI-X messages of one PCI function, as the machine delivers them.
class MsiVectors {
 public:
  virtual ~MsiVectors() = default;
  /// The guest programmed table entry `vector`. vCPU thread; not on the data path.
  virtual void configure(unsigned vector, std::uint64_t address, std::uint32_t data) noexcept = 0;
  /// Delivers message `vector`; any thread, one system call at most.
  virtual void raise(unsigned vector) noexcept = 0;
};

/// Level-triggered INTx pin of a function; shared lines are the machine's business. Any thread.
class InterruptPin {
 public:
  virtual ~InterruptPin() = default;
  virtual void set(bool asserted) noexcept = 0;
};

/// Guest writes that end in an eventfd instead of a call to MmioDevice::write (KVM_IOEVENTFD).
class Doorbells {
 public:
  virtual ~Doorbells() = default;
  /// Any write of any width to `guest_address` signals `event_fd`. Returns false if the machine cannot; writes then
  /// arrive at MmioDevice::write, and the device must cope.
  virtual bool attach(std::uint64_t guest_address, int event_fd) noexcept = 0;
  virtual void detach(std::uint64_t guest_address, int event_fd) noexcept = 0;
};

}  // namespace patchbay::devices
