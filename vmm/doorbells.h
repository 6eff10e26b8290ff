// Doorbells on KVM_IOEVENTFD: guest writes to an address signal an eventfd without leaving the kernel.
#pragma once

#include <cstdint>
#include <mutex>

#include "devices/bus.h"
#include "vmm/kvm.h"
#include "vmm/memory_map.h"

namespace patchbay::vmm {

class KvmDoorbells final : public devices::Doorbells {
 public:
  /// The machine was powered on (vm) or is about to go (nullptr). Not while a vCPU runs.
  void connect(KvmVm* vm) noexcept {
    const std::lock_guard lock(mutex_);
    vm_ = vm;
  }

  bool attach(std::uint64_t guest_address, int event_fd) noexcept override {
    // Guests move BARs; a doorbell outside the window would catch writes that belong to something else.
    if (guest_address < kPciWindowStart || guest_address - kPciWindowStart >= kPciWindowBytes) return false;
    const std::lock_guard lock(mutex_);
    return vm_ != nullptr && vm_->assign_ioeventfd(guest_address, event_fd) == 0;
  }
  void detach(std::uint64_t guest_address, int event_fd) noexcept override {
    const std::lock_guard lock(mutex_);
    if (vm_ != nullptr) vm_->deassign_ioeventfd(guest_address, event_fd);
  }

 private:
  std::mutex mutex_;
  KvmVm* vm_ = nullptr;
};

}  // namespace patchbay::vmm
