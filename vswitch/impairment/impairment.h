// What a link does to the frames of one direction, as netem(8) has it. A plain value.
#pragma once

#include <chrono>
#include <cstdint>

namespace patchbay::vswitch {

struct Impairment {
  std::chrono::nanoseconds delay{0};
  /// Each frame's delay is drawn uniformly from delay - jitter to delay + jitter. Without a rate a frame may
  /// overtake one that drew a longer delay; with a rate the order stays.
  std::chrono::nanoseconds jitter{0};
  // Probabilities, each frame on its own, from 0 to 1.
  double loss = 0;
  double duplicate = 0;  // sent twice
  double reorder = 0;    // sent at once, past the frames that are being delayed
  double corrupt = 0;    // one bit flipped, anywhere in the frame
  /// Bits per second that the wire takes, 0 for any number. What counts is the frame from its Ethernet header
  /// to the end of the payload, as in netem; not FCS, preamble and gap.
  std::uint64_t rate_bits = 0;
  /// Bytes that may wait in front of a wire with a rate; what comes on top is dropped. The delay is behind
  /// that queue: frames that it holds do not count. As many as netem's 1000 frames of 1514 bytes.
  std::uint64_t queue_bytes = 1'514'000;

  [[nodiscard]] bool any() const noexcept {
    return delay.count() != 0 || jitter.count() != 0 || loss > 0 || duplicate > 0 || corrupt > 0 ||
           rate_bits != 0;
  }
  friend bool operator==(const Impairment&, const Impairment&) = default;
};

}  // namespace patchbay::vswitch
