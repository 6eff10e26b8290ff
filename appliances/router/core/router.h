// The router as its surroundings see it: frames in bursts, a timer, configuration text and a console.
//
// Single-threaded: all calls for one router come from one thread, none from inside Environment or
// ConsoleOutput. No heap, no exceptions, no clock: memory comes from the arena, time from the caller. The
// hosted library and the freestanding appliance compile the same files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "appliances/router/core/address.h"
#include "appliances/router/core/arena.h"
#include "appliances/router/core/config/config_error.h"
#include "appliances/router/core/config/configuration.h"
#include "appliances/router/core/console/console.h"
#include "appliances/router/core/counters.h"
#include "appliances/router/core/environment.h"
#include "appliances/router/core/packet.h"
#include "appliances/router/core/state.h"

namespace patchbay::router {

struct RouterConfig {
  std::span<const InterfaceConfig> interfaces;  // at most kMaxInterfaces; the position is the InterfaceId
  std::string_view hostname = "router";         // until the configuration says otherwise
  std::string_view version;                     // shown by `show version`
};

class Router final {
 public:
  /// Makes a router in `arena`, whose free space bounds its tables: 256 KiB are enough for a small one, 64
  /// MiB for a full Internet table. Interfaces without an address forward nothing. Returns nullptr if the
  /// arena is too small or an interface is invalid. The router is never destroyed: it owns nothing but arena
  /// memory.
  [[nodiscard]] static Router* create(const RouterConfig& config, Arena& arena, Environment& environment,
                                      ConsoleOutput& output) noexcept;

  /// Applies configuration text (FRR syntax) line by line. A line with an error changes nothing and is
  /// reported; the lines after it are applied. Returns the number of errors.
  std::size_t configure(std::string_view text, ConfigErrorSink& errors, Nanoseconds now) noexcept;

  /// Takes up to kBurstPackets frames, whose `ingress` is set, and forwards, answers, holds or drops each of
  /// them. Everything that leaves has been handed to Environment::transmit on return.
  void receive(std::span<PacketBuffer* const> packets, Nanoseconds now) noexcept;

  /// Does what is due (ARP retries and ageing, reassembly timeouts, a running ping) and returns the time of
  /// the next deadline; kNever if nothing waits. receive(), configure() and console input may bring the
  /// deadline forward: ask again after calling them.
  [[nodiscard]] Nanoseconds poll(Nanoseconds now) noexcept;

  /// The carrier came or went. All links are up at first.
  void set_link(InterfaceId interface, bool up, Nanoseconds now) noexcept;

  /// The terminal's other half: feed it what was typed.
  [[nodiscard]] Console& console() noexcept { return console_; }

  [[nodiscard]] const RouterCounters& counters() const noexcept { return state_.plane.counters; }
  [[nodiscard]] const InterfaceCounters& counters(InterfaceId interface) const noexcept {
    return state_.plane.interfaces[interface].counters;
  }
  [[nodiscard]] const RouterState& state() const noexcept { return state_; }

 private:
  friend class Arena;  // makes it
  struct Tables;

  Router(const RouterConfig& config, const Tables& tables, Arena& arena, Environment& environment,
         ConsoleOutput& output) noexcept;
  void set_time(Nanoseconds now) noexcept;

  RouterState state_;
  Console console_;
};

}  // namespace patchbay::router
