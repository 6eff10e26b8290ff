// The 4 KiB configuration space of one function as bytes with access rules (PCI Local Bus 3.0
// chapter 6.1-6.2, PCI Express base 4.0 7.5): which bits a guest may write, where the capability list goes,
// what power-on looks like. Knows nothing of what the registers mean beyond that; Function gives them their
// effect.
//
// Not synchronised: the owner locks. The page itself may be mapped into a guest and read there at any time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "devices/bus.h"
#include "devices/memory_mapping.h"

namespace patchbay::devices::pci {

inline constexpr std::size_t kConfigBytes = 4096;

/// Offsets of the type 0 header (PCI 3.0 figure 6-1).
enum ConfigRegister : std::uint32_t {
  kVendorId = 0x00,
  kDeviceId = 0x02,
  kCommand = 0x04,
  kStatus = 0x06,
  kRevisionId = 0x08,
  kClassCode = 0x09,
  kCacheLineSize = 0x0C,
  kHeaderType = 0x0E,
  kBar0 = 0x10,
  kSubsystemVendorId = 0x2C,
  kSubsystemId = 0x2E,
  kCapabilitiesPointer = 0x34,
  kInterruptLine = 0x3C,
  kInterruptPin = 0x3D,
};

/// Bits of the command register (PCI 3.0 6.2.2).
enum CommandBit : std::uint16_t {
  kCommandIoSpace = 1 << 0,
  kCommandMemorySpace = 1 << 1,
  kCommandBusMaster = 1 << 2,
  kCommandParityResponse = 1 << 6,
  kCommandSerr = 1 << 8,
  kCommandInterruptDisable = 1 << 10,
};

/// Bits of the status register (PCI 3.0 6.2.3).
enum StatusBit : std::uint16_t {
  kStatusInterrupt = 1 << 3,
  kStatusCapabilitiesList = 1 << 4,
};

class ConfigSpace {
 public:
  /// Throws std::system_error if the page cannot be created.
  ConfigSpace();

  /// Guest read: bytes outside the space are all ones.
  void read(std::uint32_t offset, std::span<std::byte> data) const noexcept;
  /// Guest write: only writable bits change, bytes outside the space are ignored.
  void write(std::uint32_t offset, std::span<const std::byte> data) noexcept;

  /// Device-side access without masks; offset + sizeof(T) must lie within the space.
  template <typename T>
  [[nodiscard]] T get(std::uint32_t offset) const noexcept;
  template <typename T>
  void set(std::uint32_t offset, T value) noexcept;
  /// Device-side copy; clipped to the space.
  void set_bytes(std::uint32_t offset, std::span<const std::byte> data) noexcept;
  /// Bits of `mask` become writable by the guest.
  template <typename T>
  void set_writable(std::uint32_t offset, T mask) noexcept;

  /// Appends a capability at the next multiple of four from 0x40 on (PCI 3.0 6.7) and returns its offset.
  /// Throws std::logic_error if it does not fit below 0x100 or `writable` is longer than `body`.
  std::uint8_t add_capability(std::uint8_t id, std::span<const std::byte> body,
                              std::span<const std::byte> writable);

  /// Remembers the present contents as those of power-on.
  void set_power_on_state() noexcept;
  void restore_power_on_state() noexcept;

  [[nodiscard]] std::span<const std::byte, kConfigBytes> page() const noexcept;
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  FileDescriptor fd_;
  MemoryMapping mapping_;
  std::array<std::byte, kConfigBytes> writable_{};
  std::array<std::byte, kConfigBytes> power_on_{};
  std::uint32_t next_capability_ = 0x40;
  std::uint32_t last_pointer_ = kCapabilitiesPointer;
};

}  // namespace patchbay::devices::pci
