// MSI-X table and pending-bit array of one function (PCI Local Bus 3.0 6.8.2): what the guest programs, which
// messages are masked, which wait. Delivery itself is the machine's (MsiVectors).
//
// Threads: all calls lock; raise() comes from data-path threads, the rest from vCPU threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "devices/bus.h"

namespace patchbay::devices::pci {

inline constexpr unsigned kMaxMsixVectors = 2048;
inline constexpr std::uint64_t kMsixEntryBytes = 16;
inline constexpr std::uint16_t kMsixEnable = 1 << 15;        // message control
inline constexpr std::uint16_t kMsixFunctionMask = 1 << 14;  // message control

class MsixTable {
 public:
  /// 1 to 2048 vectors, else std::logic_error.
  explicit MsixTable(unsigned vectors);

  void attach(MsiVectors& vectors) noexcept { msi_ = &vectors; }
  [[nodiscard]] unsigned size() const noexcept { return static_cast<unsigned>(entries_.size()); }
  [[nodiscard]] std::uint64_t table_bytes() const noexcept { return entries_.size() * kMsixEntryBytes; }
  [[nodiscard]] std::uint64_t pba_bytes() const noexcept { return (entries_.size() + 63) / 64 * 8; }
  [[nodiscard]] bool enabled() const noexcept { return enabled_.load(std::memory_order_acquire); }

  /// Reads of any size and alignment are served bytewise; bytes past the end are zero.
  void read_table(std::uint64_t offset, std::span<std::byte> data) const noexcept;
  void read_pba(std::uint64_t offset, std::span<std::byte> data) const noexcept;
  /// Only aligned four- and eight-byte writes count (PCI 3.0 6.8.2: others are undefined); the rest is
  /// ignored.
  void write_table(std::uint64_t offset, std::span<const std::byte> data) noexcept;
  /// Enable and function mask as the guest wrote them; sends what was pending and is now free to go.
  void set_control(bool enable, bool function_mask) noexcept;

  /// Sends message `vector`, or latches it while masked. False if MSI-X is off or there is no such vector.
  bool raise(unsigned vector) noexcept;
  void reset() noexcept;

 private:
  struct Entry {
    std::uint64_t address = 0;
    std::uint32_t data = 0;
    std::uint32_t control = kMasked;
    bool pending = false;
    bool configured = false;  // the machine knows address and data as they stand
  };
  static constexpr std::uint32_t kMasked = 1;

  [[nodiscard]] std::byte table_byte(std::uint64_t offset) const noexcept;
  void write_dword(std::uint64_t offset, std::uint32_t value) noexcept;
  void deliver_if_possible(unsigned vector) noexcept;

  MsiVectors* msi_ = nullptr;
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
  std::atomic<bool> enabled_{false};
  bool function_mask_ = false;
};

}  // namespace patchbay::devices::pci
