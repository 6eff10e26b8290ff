// The statistics registers 0x4000-0x40FF (manual 13.7): they count what the card saw, clear when read, and
// stick at their maximum. Not to be confused with the switch's counters, which the guest cannot clear.
#pragma once

#include <array>
#include <cstdint>

namespace patchbay::devices::net::e1000 {

class Statistics {
 public:
  void reset() noexcept { words_.fill(0); }
  /// Reads and clears the register at `offset` from 0x4000. The low half of a 64-bit counter does not clear:
  /// it is read first, and the high half clears both.
  [[nodiscard]] std::uint32_t read(std::uint32_t offset) noexcept;

  /// A good frame of `length` bytes, FCS not included, with the destination's first octet class.
  void received(std::uint32_t length, bool multicast, bool broadcast) noexcept;
  /// `frames` frames of the same length.
  void transmitted(std::uint32_t length, std::uint32_t frames, bool multicast, bool broadcast) noexcept;
  /// `frames` frames found too few receive descriptors.
  void missed_no_buffer(std::uint32_t frames) noexcept;
  void oversize() noexcept { increment(kReceiveOversize); }
  void segmentation_context_used() noexcept { increment(kSegmentationContexts); }

 private:
  static constexpr std::uint32_t kMissed = 0x10, kRxSizes = 0x5C, kRxGood = 0x74, kRxBroadcast = 0x78,
                                 kRxMulticast = 0x7C, kTxGood = 0x80, kRxGoodOctets = 0x88,
                                 kTxGoodOctets = 0x90, kReceiveNoBuffer = 0xA0, kReceiveOversize = 0xAC,
                                 kRxOctets = 0xC0, kTxOctets = 0xC8, kRxTotal = 0xD0, kTxTotal = 0xD4,
                                 kTxSizes = 0xD8, kTxMulticast = 0xF0, kTxBroadcast = 0xF4,
                                 kSegmentationContexts = 0xF8;

  void increment(std::uint32_t offset, std::uint32_t n = 1) noexcept;
  void add_octets(std::uint32_t offset, std::uint64_t n) noexcept;

  std::array<std::uint32_t, 64> words_{};
};

}  // namespace patchbay::devices::net::e1000
