// The console's ping: an echo request a second, a line for each answer, a summary.
#pragma once

#include <cstddef>
#include <cstdint>

#include "appliances/router/core/console/echo_probe.h"
#include "appliances/router/core/console/printer.h"

namespace patchbay::router {

class Ping final : public IcmpListener {
 public:
  static constexpr std::size_t kDefaultBytes = 56;
  static constexpr std::size_t kMaxBytes = 65000;
  static constexpr std::uint32_t kDefaultCount = 5;
  static constexpr Nanoseconds kInterval = kSecond;

  Ping(Plane& plane, Printer& printer) noexcept : plane_(plane), printer_(printer) {}

  void start(Ipv4Address destination, std::uint32_t count, std::size_t bytes) noexcept;
  [[nodiscard]] bool running() const noexcept { return running_; }
  /// Sends what is due; returns the next deadline, kNever when finished.
  [[nodiscard]] Nanoseconds poll() noexcept;
  /// Ends it early, with its summary.
  void stop() noexcept;

  bool on_echo_reply(const Ipv4Header& header, std::span<const std::byte> message, Nanoseconds now) override;
  bool on_error(const Ipv4Header& header, const IcmpHeader& error, const Ipv4Header& quoted,
                std::span<const std::byte> quoted_payload, Nanoseconds now) override;

 private:
  void send() noexcept;

  Plane& plane_;
  Printer& printer_;
  EchoProbe probe_;
  bool running_ = false;
  std::uint32_t count_ = 0;
  std::uint32_t sent_ = 0;
  std::uint32_t received_ = 0;
  Nanoseconds next_ = 0;
  Nanoseconds shortest_ = kNever;
  Nanoseconds longest_ = 0;
  Nanoseconds sum_ = 0;
};

}  // namespace patchbay::router
