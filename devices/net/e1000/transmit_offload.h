// What the guest asks the card to do to a packet it sends (manual 3.5, 3.6), translated: IPv4 header
// checksums and VLAN tags are put into the copied header at once, the rest becomes FrameView::offload for the
// switch.
//
// All offsets come from the guest. Each function returns false if the request contradicts the frame.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "vswitch/frame.h"

namespace patchbay::devices::net::e1000 {

/// The context descriptor that applies to a packet (3.3.6), with the packet's POPTS.
struct OffloadRequest {
  std::uint8_t ip_start = 0, ip_offset = 0;    // IPCSS, IPCSO: bytes from the start of the frame
  std::uint16_t ip_end = 0;                    // IPCSE, inclusive; 0: to the end
  std::uint8_t tcp_start = 0, tcp_offset = 0;  // TUCSS, TUCSO
  std::uint16_t tcp_end = 0;                   // TUCSE, inclusive; 0: to the end
  std::uint8_t header_length = 0;              // HDRLEN, segmentation only
  std::uint16_t segment_size = 0;              // MSS, segmentation only
  bool tcp = false, ipv4 = false;              // TUCMD
  bool insert_ip_checksum = false;             // POPTS.IXSM
  bool insert_tcp_checksum = false;            // POPTS.TXSM
};

/// Internet checksum from `start` to `end` (inclusive; 0: the end of the frame), stored at `result`. A sum
/// that ends before the frame does must lie in the header copy.
[[nodiscard]] bool request_checksum(std::uint8_t start, std::uint8_t result, std::uint16_t end,
                                    vswitch::FrameView& frame) noexcept;
/// The checksums of one packet that is not segmented.
[[nodiscard]] bool request_checksums(const OffloadRequest& request, vswitch::FrameView& frame) noexcept;
/// TCP segmentation. The guest leaves IP length and checksum zero and the pseudo-header sum without the
/// length (3.5.7); the result is what virtio-net means by a GSO frame: lengths filled in, pseudo-header sum
/// with length.
[[nodiscard]] bool request_segmentation(const OffloadRequest& request, vswitch::FrameView& frame) noexcept;

/// Inserts an 802.1Q tag behind the addresses and moves the checksum offsets along. Bytes that no longer fit
/// into the header copy go to `displaced`; returns how many, which the caller puts in front of the tail.
[[nodiscard]] std::size_t insert_vlan_tag(std::uint16_t type, std::uint16_t tag, vswitch::FrameView& frame,
                                          std::span<std::byte, 4> displaced) noexcept;

}  // namespace patchbay::devices::net::e1000
