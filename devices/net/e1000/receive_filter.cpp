#include "devices/net/e1000/receive_filter.h"

#include <algorithm>

#include "devices/net/e1000/registers.h"

namespace patchbay::devices::net::e1000 {

namespace {

constexpr std::uint32_t kAddressValid = 1u << 31;  // RAH.AV

std::uint32_t octet(std::span<const std::byte> header, std::size_t i) {
  return std::to_integer<std::uint32_t>(header[i]);
}

}  // namespace

void ReceiveFilter::reset(std::span<const std::uint8_t, 6> mac) noexcept {
  addresses_.fill(0);
  multicast_.fill(0);
  vlans_.fill(0);
  addresses_[0] =
      mac[0] | (std::uint32_t{mac[1]} << 8) | (std::uint32_t{mac[2]} << 16) | (std::uint32_t{mac[3]} << 24);
  addresses_[1] = mac[4] | (std::uint32_t{mac[5]} << 8) | kAddressValid;
}

bool ReceiveFilter::accepts(std::span<const std::byte> header, std::uint32_t rctl,
                            std::uint32_t vet) const noexcept {
  const std::uint32_t type = (octet(header, 12) << 8) | octet(header, 13);
  if ((rctl & rctl::kVlanFilter) != 0 && type == (vet & 0xFFFF)) {
    if (header.size() < 16) return false;
    const std::uint32_t vid = ((octet(header, 14) << 8) | octet(header, 15)) & 0xFFF;
    if ((vlans_[vid >> 5] & (1u << (vid & 31))) == 0) return false;
  }

  const bool group = (octet(header, 0) & 1) != 0;
  const std::uint32_t low =
      octet(header, 0) | (octet(header, 1) << 8) | (octet(header, 2) << 16) | (octet(header, 3) << 24);
  const std::uint32_t high = octet(header, 4) | (octet(header, 5) << 8);
  if (!group && (rctl & rctl::kUnicastPromiscuous) != 0) return true;
  if (group && (rctl & rctl::kMulticastPromiscuous) != 0) return true;
  if (low == 0xFFFFFFFF && high == 0xFFFF && (rctl & rctl::kBroadcast) != 0) return true;

  for (std::size_t i = 0; i < addresses_.size(); i += 2) {
    if ((addresses_[i + 1] & kAddressValid) != 0 && addresses_[i] == low &&
        (addresses_[i + 1] & 0xFFFF) == high) {
      return true;
    }
  }
  if (!group) return false;

  // 12 of the upper 16 bits of the address, chosen by RCTL.MO, index the table (13.5.1).
  constexpr std::array<unsigned, 4> kShift{4, 3, 2, 0};
  const std::uint32_t hash = (high >> kShift[(rctl >> rctl::kMulticastOffsetShift) & 3]) & 0xFFF;
  return (multicast_[hash >> 5] & (1u << (hash & 31))) != 0;
}

}  // namespace patchbay::devices::net::e1000
