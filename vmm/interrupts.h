// How interrupts of devices reach a guest with in-kernel interrupt controllers: MSI-X messages through irqfds
// and the GSI routing table, INTx and the serial port through lines that several devices may share.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "devices/bus.h"
#include "vmm/kvm.h"
#include "vmm/memory_map.h"

namespace patchbay::vmm {

/// The GSIs of a machine: 0-23 are the pins of PIC and I/O APIC, those above carry MSI messages. Survives
/// power cycles; connect() programs a new KvmVm.
class InterruptRouter {
 public:
  InterruptRouter();
  InterruptRouter(const InterruptRouter&) = delete;
  InterruptRouter& operator=(const InterruptRouter&) = delete;

  /// The machine was powered on (vm) or is about to go (nullptr). Throws std::system_error.
  void connect(KvmVm* vm);
  /// Reserves a GSI for messages that `event_fd` triggers. Before connect().
  [[nodiscard]] std::uint32_t add_message(int event_fd);
  void route_message(std::uint32_t gsi, std::uint64_t address, std::uint32_t data) noexcept;
  /// One device asserts or releases a line; the line is the OR of its devices.
  void change_line(std::uint32_t gsi, bool asserted) noexcept;

 private:
  struct Message {
    std::uint32_t gsi;
    int event_fd;
  };

  std::mutex mutex_;
  KvmVm* vm_ = nullptr;
  std::vector<kvm_irq_routing_entry> pins_;
  std::vector<kvm_irq_routing_entry> routes_;  // pins_ and the messages programmed since power-on
  std::vector<Message> messages_;
  std::vector<unsigned> asserted_by_;  // per pin
};

/// MSI-X messages of one function, each an eventfd that KVM turns into an interrupt.
class IrqfdMsi final : public devices::MsiVectors {
 public:
  IrqfdMsi(InterruptRouter& router, unsigned vectors);
  void configure(unsigned vector, std::uint64_t address, std::uint32_t data) noexcept override;
  void raise(unsigned vector) noexcept override;

 private:
  struct Vector {
    devices::FileDescriptor event;
    std::uint32_t gsi;
  };
  InterruptRouter& router_;
  std::vector<Vector> vectors_;
};

/// One device's connection to a line.
class LinePin final : public devices::InterruptPin {
 public:
  LinePin(InterruptRouter& router, std::uint32_t gsi) : router_(router), gsi_(gsi) {}
  void set(bool asserted) noexcept override;

 private:
  InterruptRouter& router_;
  std::uint32_t gsi_;
  std::mutex mutex_;
  bool asserted_ = false;
};

}  // namespace patchbay::vmm
