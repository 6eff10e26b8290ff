// A PCI function (PCI Local Bus 3.0, PCI Express base 4.0 7.5 for the 4 KiB space): configuration space with
// access rules, BARs, capabilities and MSI-X. Device models derive from it; the host bridge in vmm/ drives
// it.
//
// Threads: config_* and bar_* come from vCPU threads. Configuration accesses, with the hooks they call, are
// serialised by a mutex of the base class; BAR accesses are not. attach() and the construction calls happen
// before the machine starts. Construction calls that contradict each other (a BAR declared twice, an MSI-X
// table outside its BAR) throw std::logic_error: they are mistakes in the device model, no guest can cause
// them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

#include "devices/bus.h"
#include "devices/guest_memory.h"
#include "devices/pci/config_space.h"

namespace patchbay::devices::pci {

struct Identity {
  std::uint16_t vendor = 0xFFFF;
  std::uint16_t device = 0xFFFF;
  std::uint16_t subsystem_vendor = 0;
  std::uint16_t subsystem = 0;
  std::uint8_t revision = 0;
  std::uint32_t class_code = 0;  // 24 bits: class, subclass, programming interface
};

/// What the machine lends a function when it is plugged in. All of it outlives the function.
struct Attachment {
  const GuestMemory* memory = nullptr;
  MsiVectors* msi = nullptr;       // never null
  InterruptPin* pin = nullptr;     // null where the machine has no interrupt controller
  Doorbells* doorbells = nullptr;  // never null
};

inline constexpr unsigned kBars = 6;

class MsixTable;

class Function {
 public:
  explicit Function(const Identity& identity);
  virtual ~Function();
  Function(const Function&) = delete;
  Function& operator=(const Function&) = delete;

  // --- for the host bridge ---------------------------------------------------------------------------------
  /// Plugs the function in. Once, before any other call of this section.
  void attach(const Attachment& attachment);
  /// Configuration reads can be served from this page without a call (the machine may map it read-only into
  /// the guest's ECAM window): it always shows what config_read would return.
  [[nodiscard]] std::span<const std::byte, kConfigBytes> config_page() const noexcept;
  [[nodiscard]] int config_page_fd() const noexcept;  // memfd behind config_page()
  void config_read(std::uint32_t offset, std::span<std::byte> data) noexcept;
  void config_write(std::uint32_t offset, std::span<const std::byte> data) noexcept;
  /// Size of a BAR in bytes (a power of two), 0 if absent. The firmware role (assigning addresses) is the
  /// machine's.
  [[nodiscard]] std::uint64_t bar_size(unsigned bar) const noexcept;
  [[nodiscard]] bool bar_is_io(unsigned bar) const noexcept;
  [[nodiscard]] bool bar_is_64bit(unsigned bar) const noexcept;
  /// Where a BAR answers now, or 0 while it is disabled or moved out of reach (a port above 0xFFFF, or the
  /// top of the address space, where the all-ones pattern of BAR sizing puts it).
  [[nodiscard]] std::uint64_t bar_address(unsigned bar) const noexcept;
  /// Number of MSI-X messages, 0 without MSI-X.
  [[nodiscard]] unsigned msix_vectors() const noexcept;
  /// An access inside a BAR. MSI-X table and PBA accesses are dealt with here, others go to the device model.
  void bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> data) noexcept;
  void bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data) noexcept;
  /// Power-on state: configuration space, MSI-X, and the device model through on_reset().
  void reset() noexcept;

  // --- for the device model --------------------------------------------------------------------------------
 protected:
  /// Adds a 32-bit memory BAR (64-bit ones take two indices); before attach(). `bytes` a power of two >= 16.
  void add_memory_bar(unsigned bar, std::uint64_t bytes, bool is_64bit);
  void add_io_bar(unsigned bar, std::uint32_t bytes);
  /// Appends a capability: `body` follows the two-byte header; `writable` is a mask as long as `body`.
  /// Returns the offset of the capability in configuration space.
  std::uint8_t add_capability(std::uint8_t id, std::span<const std::byte> body,
                              std::span<const std::byte> writable = {});
  /// Adds MSI-X (PCI 3.0 6.8.2): table at `offset` of `bar`, PBA right behind it, page-aligned.
  void add_msix(unsigned vectors, unsigned bar, std::uint32_t offset);

  [[nodiscard]] const GuestMemory& memory() const noexcept { return *attachment_.memory; }
  [[nodiscard]] Doorbells& doorbells() const noexcept { return *attachment_.doorbells; }
  [[nodiscard]] bool msix_enabled() const noexcept;
  /// Sends message `vector`, or latches it in the PBA while masked. False if MSI-X is off or the vector
  /// absent (the caller falls back to set_intx). Any thread.
  bool raise_msix(unsigned vector) noexcept;
  /// Device-side write to configuration space, past the access masks; any thread.
  void set_config(std::uint32_t offset, std::span<const std::byte> data) noexcept;
  /// Drives the INTx pin; ignored where there is none or the guest disabled it. Any thread.
  void set_intx(bool asserted) noexcept;
  /// Bus mastering enabled: without it a device must not touch guest memory.
  [[nodiscard]] bool bus_master() const noexcept;

  /// Accesses inside a BAR that are not MSI-X. Called without any lock of the base class held.
  virtual void on_bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> data) noexcept = 0;
  virtual void on_bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data) noexcept = 0;
  /// A capability with device-specific behaviour was accessed (virtio's PCI configuration access window).
  /// `data` holds what is about to be returned and may be changed. Reads that the guest serves itself from
  /// config_page() do not come here.
  virtual void on_config_read(std::uint32_t /*offset*/, std::span<std::byte> /*data*/) noexcept {}
  /// The bytes [offset, offset + length) were written and the access masks applied.
  virtual void on_config_written(std::uint32_t /*offset*/, std::size_t /*length*/) noexcept {}
  /// A BAR appeared at `address`, moved, or vanished (0): move doorbells here. May call anything but
  /// config_*.
  virtual void on_bar_moved(unsigned, std::uint64_t /*address*/) noexcept {}
  virtual void on_reset() noexcept = 0;

 private:
  struct Bar {
    std::uint64_t bytes = 0;
    bool io = false;
    bool is_64bit = false;
    bool upper_half = false;                // the second index of a 64-bit BAR
    std::atomic<std::uint64_t> address{0};  // what bar_address() returns
  };
  /// Which part of MSI-X, if any, lies at an offset of a BAR.
  enum class MsixArea { none, table, pending_bits };

  void claim_bar(unsigned bar);
  [[nodiscard]] std::uint64_t decode_bar(unsigned bar) const noexcept;
  void update_bars() noexcept;
  void update_msix_control() noexcept;
  void update_pin() noexcept;
  [[nodiscard]] MsixArea msix_area(unsigned bar, std::uint64_t offset) const noexcept;

  Attachment attachment_;
  std::mutex access_mutex_;         // one configuration access, with its hooks, at a time
  mutable std::mutex bytes_mutex_;  // config_ itself and the level of the pin
  ConfigSpace config_;
  std::array<Bar, kBars> bars_;
  std::atomic<std::uint16_t> command_{0};
  bool intx_asserted_ = false;

  std::unique_ptr<MsixTable> msix_;
  unsigned msix_bar_ = 0;
  std::uint64_t msix_table_offset_ = 0;
  std::uint64_t msix_pba_offset_ = 0;
  std::uint8_t msix_capability_ = 0;
};

}  // namespace patchbay::devices::pci
