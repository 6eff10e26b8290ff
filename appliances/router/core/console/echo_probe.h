// ICMP echo requests from the router itself: what ping and traceroute send and wait for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "appliances/router/core/ipv4_output.h"
#include "appliances/router/core/plane.h"

namespace patchbay::router {

/// One outstanding request at a time.
class EchoProbe {
 public:
  /// Answers to earlier runs, which carry another identifier, are not taken.
  void start(Ipv4Address destination, std::size_t data_bytes) noexcept;

  enum class Sent : std::uint8_t { yes, no_route, no_buffer };
  /// Sends the next request.
  [[nodiscard]] Sent send(Plane& plane, std::uint8_t ttl) noexcept;

  /// True if the message answers the request that is outstanding.
  [[nodiscard]] bool is_answer(std::span<const std::byte> message) const noexcept;
  /// True if an ICMP error quotes the request that is outstanding.
  [[nodiscard]] bool is_quoted(const Ipv4Header& quoted, std::span<const std::byte> payload) const noexcept;
  /// The request is not outstanding any more.
  void settle() noexcept { outstanding_ = false; }

  [[nodiscard]] bool outstanding() const noexcept { return outstanding_; }
  [[nodiscard]] Ipv4Address destination() const noexcept { return destination_; }
  [[nodiscard]] std::uint16_t sequence() const noexcept { return sequence_; }
  [[nodiscard]] Nanoseconds sent_at() const noexcept { return sent_at_; }

 private:
  Ipv4Address destination_;
  std::size_t data_bytes_ = 0;
  std::uint16_t identifier_ = 0x5042;
  std::uint16_t sequence_ = 0;
  bool outstanding_ = false;
  Nanoseconds sent_at_ = 0;
};

}  // namespace patchbay::router
