// PCI configuration space through ECAM (PCI Express base 4.0, 7.2.2). On this platform reads are plain memory
// reads and writes leave the guest, so the code below reads first and writes only what is not yet so.
#pragma once

#include <cstdint>

namespace patchbay::router::guest {

/// One function of bus 0; cheap to copy.
class PciFunction {
 public:
  PciFunction(std::uintptr_t ecam, unsigned device) noexcept
      : config_(ecam + (std::uintptr_t{device} << 15)) {}

  [[nodiscard]] std::uint8_t read8(unsigned offset) const noexcept { return at<std::uint8_t>(offset); }
  [[nodiscard]] std::uint16_t read16(unsigned offset) const noexcept { return at<std::uint16_t>(offset); }
  [[nodiscard]] std::uint32_t read32(unsigned offset) const noexcept { return at<std::uint32_t>(offset); }
  void write16(unsigned offset, std::uint16_t value) const noexcept { at<std::uint16_t>(offset) = value; }

  [[nodiscard]] std::uint16_t vendor() const noexcept { return read16(0x00); }
  [[nodiscard]] std::uint16_t device() const noexcept { return read16(0x02); }

  /// Offset of the first capability `id` behind `after` (0: from the beginning), or 0.
  [[nodiscard]] unsigned next_capability(std::uint8_t id, unsigned after = 0) const noexcept;
  /// Address of a memory BAR as the VMM assigned it, or 0 if it has none or one out of reach.
  [[nodiscard]] std::uintptr_t bar(unsigned index) const noexcept;
  /// Lets the function answer in its BARs and access memory.
  void enable() const noexcept;
  /// Programs and unmasks MSI-X vector 0 and turns MSI-X on; false if the function has none. The message's
  /// content means nothing here: the VMM turns every message into a wake-up.
  [[nodiscard]] bool enable_msix() const noexcept;

 private:
  template <typename T>
  [[nodiscard]] volatile T& at(unsigned offset) const noexcept {
    return *reinterpret_cast<volatile T*>(config_ + offset);
  }

  std::uintptr_t config_;
};

}  // namespace patchbay::router::guest
