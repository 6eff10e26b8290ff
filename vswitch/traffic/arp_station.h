// The little of a host that a generator needs to stand in for one: it answers ARP requests for its address
// and finds out the MAC address of its next hop (RFC 826).
//
// Threads: the worker of the port that owns it.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "vswitch/frame.h"
#include "vswitch/traffic/frame_template.h"

namespace patchbay::vswitch::traffic {

class ArpStation {
 public:
  static constexpr std::size_t kFrameBytes = 60;
  using Frame = std::array<std::byte, kFrameBytes>;

  ArpStation(const MacBytes& mac, const Ipv4Bytes& address) noexcept : mac_(mac), address_(address) {}

  /// True if the frame is ARP; it is dealt with then.
  bool receive(const FrameView& frame) noexcept;
  /// Asks for `address`, whose MAC address resolved() gives once it is known.
  void resolve(const Ipv4Bytes& address) noexcept;
  [[nodiscard]] std::optional<MacBytes> resolved() const noexcept { return answer_; }

  /// A frame that waits to be sent; nullptr for none. sent() drops it.
  [[nodiscard]] const Frame* waiting() const noexcept { return count_ == 0 ? nullptr : &queue_[head_]; }
  void sent() noexcept;

 private:
  // A flood of requests is answered by as many replies as fit; the others are asked again.
  static constexpr std::size_t kQueue = 16;

  void send(std::uint16_t operation, const MacBytes& to_mac, const MacBytes& target_mac,
            const Ipv4Bytes& target) noexcept;

  MacBytes mac_;
  Ipv4Bytes address_;
  Ipv4Bytes wanted_{};
  std::optional<MacBytes> answer_;
  std::array<Frame, kQueue> queue_{};
  std::size_t head_ = 0, count_ = 0;
};

}  // namespace patchbay::vswitch::traffic
