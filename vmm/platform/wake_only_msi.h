// MSI-X for machines without interrupt controllers: every message of every function is a wake-up through the
// wait device; which function it was is for the guest to find in its rings.
#pragma once

#include "devices/bus.h"
#include "vmm/platform/wait_device.h"

namespace patchbay::vmm {

class WakeOnlyMsi final : public devices::MsiVectors {
 public:
  explicit WakeOnlyMsi(WaitDevice& wait) : wait_(wait) {}
  void configure(unsigned, std::uint64_t, std::uint32_t) noexcept override {}
  void raise(unsigned) noexcept override { wait_.signal(Wake::device_work); }

 private:
  WaitDevice& wait_;
};

}  // namespace patchbay::vmm
