// The PHY behind MDIC: an 88E1000-like gigabit transceiver at address 1 (IEEE 802.3 clause 22 registers) that
// is always able to negotiate 1000BASE-T full duplex as long as the link is up.
#pragma once

#include <cstdint>

namespace patchbay::devices::net::e1000 {

class Phy {
 public:
  Phy() { reset(); }

  /// What MDIC reads after the guest wrote `command` to it (13.4.9): READY with the data, or ERROR for an
  /// absent PHY. `link_up` is the state of the wire. Sets `negotiated` when autonegotiation was started and
  /// completed.
  [[nodiscard]] std::uint32_t execute(std::uint32_t command, bool link_up, bool& negotiated) noexcept;
  void reset() noexcept;
  /// What is transmitted comes back as received, and nothing leaves (BMCR.LOOPBACK).
  [[nodiscard]] bool loopback() const noexcept;

 private:
  [[nodiscard]] std::uint16_t read(unsigned index, bool link_up) const noexcept;

  std::uint16_t control_ = 0;
  std::uint16_t advertisement_ = 0;
  std::uint16_t gigabit_control_ = 0;
  std::uint16_t specific_control_ = 0;
  std::uint16_t extended_specific_control_ = 0;
};

}  // namespace patchbay::devices::net::e1000
