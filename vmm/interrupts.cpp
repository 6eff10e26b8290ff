#include "vmm/interrupts.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <system_error>

namespace patchbay::vmm {
namespace {

constexpr std::uint32_t kPicPins = 8;

kvm_irq_routing_entry pin_route(std::uint32_t gsi, std::uint32_t chip, std::uint32_t pin) {
  kvm_irq_routing_entry entry{};
  entry.gsi = gsi;
  entry.type = KVM_IRQ_ROUTING_IRQCHIP;
  entry.u.irqchip.irqchip = chip;
  entry.u.irqchip.pin = pin;
  return entry;
}

kvm_irq_routing_entry message_route(std::uint32_t gsi, std::uint64_t address, std::uint32_t data) {
  kvm_irq_routing_entry entry{};
  entry.gsi = gsi;
  entry.type = KVM_IRQ_ROUTING_MSI;
  entry.u.msi.address_lo = static_cast<std::uint32_t>(address);
  entry.u.msi.address_hi = static_cast<std::uint32_t>(address >> 32);
  entry.u.msi.data = data;
  return entry;
}

}  // namespace

InterruptRouter::InterruptRouter() : asserted_by_(kIoApicPins) {
  for (std::uint32_t pin = 0; pin < kIoApicPins; ++pin) {
    // ISA interrupts reach both controllers; the PIC's cascade (2) is the timer at the I/O APIC.
    if (pin < kPicPins && pin != 2) pins_.push_back(pin_route(pin, KVM_IRQCHIP_PIC_MASTER, pin));
    if (pin >= kPicPins && pin < 2 * kPicPins)
      pins_.push_back(pin_route(pin, KVM_IRQCHIP_PIC_SLAVE, pin - kPicPins));
    if (pin != 2) pins_.push_back(pin_route(pin, KVM_IRQCHIP_IOAPIC, pin == 0 ? 2 : pin));
  }
  routes_ = pins_;
}

void InterruptRouter::connect(KvmVm* vm) {
  const std::lock_guard lock(mutex_);
  vm_ = vm;
  if (vm == nullptr) return;
  routes_ = pins_;
  vm->set_gsi_routing(routes_);
  for (const Message& message : messages_)
    vm->assign_irqfd(message.gsi, message.event_fd);
}

std::uint32_t InterruptRouter::add_message(int event_fd) {
  const std::lock_guard lock(mutex_);
  const auto gsi = kIoApicPins + static_cast<std::uint32_t>(messages_.size());
  messages_.push_back({gsi, event_fd});
  return gsi;
}

void InterruptRouter::route_message(std::uint32_t gsi, std::uint64_t address, std::uint32_t data) noexcept {
  const std::lock_guard lock(mutex_);
  if (vm_ == nullptr) return;
  std::erase_if(routes_, [gsi](const kvm_irq_routing_entry& entry) { return entry.gsi == gsi; });
  routes_.push_back(message_route(gsi, address, data));
  try {
    vm_->set_gsi_routing(routes_);
  } catch (const std::system_error&) {
    routes_.pop_back();  // the guest programmed an impossible message: it stays without that interrupt
  }
}

void InterruptRouter::change_line(std::uint32_t gsi, bool asserted) noexcept {
  const std::lock_guard lock(mutex_);
  if (gsi >= asserted_by_.size()) return;
  unsigned& count = asserted_by_[gsi];
  const bool before = count != 0;
  if (asserted) {
    ++count;
  } else if (count != 0) {
    --count;
  }
  if (vm_ != nullptr && before != (count != 0)) vm_->set_irq_line(gsi, count != 0);
}

IrqfdMsi::IrqfdMsi(InterruptRouter& router, unsigned vectors) : router_(router) {
  vectors_.reserve(vectors);
  for (unsigned i = 0; i < vectors; ++i) {
    devices::FileDescriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event) {
      throw std::system_error(
          errno, std::generic_category(),
          "cannot create an eventfd for an interrupt; raise the limit of open files (ulimit -n)");
    }
    const std::uint32_t gsi = router.add_message(event.get());
    vectors_.push_back({std::move(event), gsi});
  }
}

void IrqfdMsi::configure(unsigned vector, std::uint64_t address, std::uint32_t data) noexcept {
  if (vector < vectors_.size()) router_.route_message(vectors_[vector].gsi, address, data);
}

void IrqfdMsi::raise(unsigned vector) noexcept {
  if (vector < vectors_.size()) ::eventfd_write(vectors_[vector].event.get(), 1);
}

void LinePin::set(bool asserted) noexcept {
  const std::lock_guard lock(mutex_);
  if (asserted_ == asserted) return;
  asserted_ = asserted;
  router_.change_line(gsi_, asserted);
}

}  // namespace patchbay::vmm
