// Which frames the card takes: exact addresses, multicast hash, VLAN table, promiscuous modes
// (manual 10.2.7, 13.5).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace patchbay::devices::net::e1000 {

class ReceiveFilter {
 public:
  static constexpr std::size_t kAddresses = 16;
  static constexpr std::size_t kTableWords = 128;

  /// Power-on: no address but `mac` in entry 0, empty tables.
  void reset(std::span<const std::uint8_t, 6> mac) noexcept;

  /// True if a frame that begins with `header` (at least 14 bytes) passes under these RCTL and VET values.
  [[nodiscard]] bool accepts(std::span<const std::byte> header, std::uint32_t rctl,
                             std::uint32_t vet) const noexcept;

  // Register access by word index: RAL/RAH pairs (13.5.2: AV, AS, 16 address bits in RAH), MTA, VFTA.
  [[nodiscard]] std::uint32_t address_word(std::size_t i) const noexcept {
    return addresses_[i % (2 * kAddresses)];
  }
  void set_address_word(std::size_t i, std::uint32_t v) noexcept {
    addresses_[i % (2 * kAddresses)] = i % 2 == 0 ? v : v & kAddressHighMask;
  }
  [[nodiscard]] std::uint32_t multicast_word(std::size_t i) const noexcept {
    return multicast_[i % kTableWords];
  }
  void set_multicast_word(std::size_t i, std::uint32_t v) noexcept { multicast_[i % kTableWords] = v; }
  [[nodiscard]] std::uint32_t vlan_word(std::size_t i) const noexcept { return vlans_[i % kTableWords]; }
  void set_vlan_word(std::size_t i, std::uint32_t v) noexcept { vlans_[i % kTableWords] = v; }

 private:
  static constexpr std::uint32_t kAddressHighMask = 0x8003FFFF;

  std::array<std::uint32_t, 2 * kAddresses> addresses_{};  // RAL0 RAH0 RAL1 ...
  std::array<std::uint32_t, kTableWords> multicast_{};
  std::array<std::uint32_t, kTableWords> vlans_{};
};

}  // namespace patchbay::devices::net::e1000
