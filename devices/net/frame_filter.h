// Which frames a virtio-net card takes off the wire: the receive modes, the MAC table and the VLAN table that
// a driver sets over the control queue (Virtio 1.2, 5.1.6.5.1 to 5.1.6.5.3).
//
// A card takes everything until its driver has said otherwise. Under the device's mutex.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <span>

#include "vswitch/frame.h"

namespace patchbay::devices::net {

using MacAddress = std::array<std::uint8_t, 6>;

class FrameFilter {
 public:
  /// Addresses of one kind that are told apart; with more, all of that kind pass. The device may filter
  /// imperfectly (5.1.6.5.2).
  static constexpr std::size_t kTableEntries = 64;

  struct Modes {
    bool promiscuous = true;
    bool all_multicast = false;
    bool all_unicast = false;
    bool no_multicast = false;
    bool no_unicast = false;
    bool no_broadcast = false;
  };

  /// `own` is the station's address; everything passes until Modes change.
  void reset(const MacAddress& own) noexcept;
  void set_own(const MacAddress& own) noexcept { own_ = own; }
  [[nodiscard]] Modes& modes() noexcept { return modes_; }
  /// `addresses` are 6 bytes each.
  void set_unicast(std::span<const std::byte> addresses) noexcept { unicast_.set(addresses); }
  void set_multicast(std::span<const std::byte> addresses) noexcept { multicast_.set(addresses); }
  /// As if both tables were full.
  void pass_all_addresses() noexcept {
    unicast_.overflow();
    multicast_.overflow();
  }
  /// From now on tagged frames pass only with a VLAN id of the table, which is empty.
  void filter_vlans() noexcept { filter_vlans_ = true; }
  /// Precondition: id < 4096.
  void set_vlan(std::uint16_t id, bool pass) noexcept { vlans_[id] = pass; }

  [[nodiscard]] bool passes_all() const noexcept { return modes_.promiscuous; }
  /// Whether the card takes a frame with a whole Ethernet header.
  [[nodiscard]] bool passes(const vswitch::FrameView& frame) const noexcept;

 private:
  class Table {
   public:
    void set(std::span<const std::byte> addresses) noexcept;
    void clear() noexcept {
      count_ = 0;
      overflow_ = false;
    }
    void overflow() noexcept { overflow_ = true; }
    [[nodiscard]] bool holds(const std::byte* address) const noexcept;

   private:
    std::array<MacAddress, kTableEntries> entries_{};
    std::size_t count_ = 0;
    bool overflow_ = false;
  };

  Modes modes_;
  MacAddress own_{};
  Table unicast_, multicast_;
  bool filter_vlans_ = false;
  std::bitset<4096> vlans_;
};

}  // namespace patchbay::devices::net
