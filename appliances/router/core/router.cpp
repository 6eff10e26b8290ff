#include "appliances/router/core/router.h"

#include <algorithm>
#include <bit>

#include "appliances/router/core/arp.h"
#include "appliances/router/core/config/config_parser.h"
#include "appliances/router/core/ipv4_input.h"

namespace patchbay::router {

/// The tables whose sizes follow from the size of the arena.
struct Router::Tables {
  std::span<Interface> interfaces;
  std::span<Transmitter::Queue> queues;
  std::span<Neighbor> neighbors;
  std::span<std::uint32_t> neighbor_buckets;
  std::span<IcmpLimiter::Source> icmp_sources;
  std::span<NextHop> next_hops;
  std::span<ConnectedRoute> connected;
  std::span<std::uint64_t> fib_memory;

  [[nodiscard]] bool complete() const noexcept {
    return !interfaces.empty() && !queues.empty() && !neighbors.empty() && !neighbor_buckets.empty() &&
           !icmp_sources.empty() && !next_hops.empty() && !connected.empty() && !fib_memory.empty();
  }
};

namespace {

/// As many elements as fit in one `share`th of the memory, within limits.
template <typename T>
std::size_t count_for(std::size_t memory, std::size_t share, std::size_t least, std::size_t most) noexcept {
  return std::clamp(memory / share / sizeof(T), least, most);
}

bool valid(const RouterConfig& config) noexcept {
  if (config.interfaces.empty() || config.interfaces.size() > kMaxInterfaces) return false;
  return std::all_of(config.interfaces.begin(), config.interfaces.end(),
                     [](const InterfaceConfig& interface) {
                       return !interface.name.empty() && interface.name.size() <= kMaxInterfaceName &&
                              !interface.mac.is_group() && !interface.mac.is_zero() &&
                              interface.mtu >= kMinMtu && interface.mtu <= kMaxMtu;
                     });
}

}  // namespace

Router* Router::create(const RouterConfig& config, Arena& arena, Environment& environment,
                       ConsoleOutput& output) noexcept {
  if (!valid(config)) return nullptr;
  const std::size_t memory = arena.available();
  const std::size_t interfaces = config.interfaces.size();
  const std::size_t neighbors = std::bit_floor(count_for<Neighbor>(memory, 16, 64, 4096));

  Tables tables;
  tables.interfaces = arena.make_array<Interface>(interfaces);
  tables.queues = arena.make_array<Transmitter::Queue>(interfaces);
  tables.neighbors = arena.make_array<Neighbor>(neighbors);
  tables.neighbor_buckets = arena.make_array<std::uint32_t>(2 * neighbors);
  tables.icmp_sources = arena.make_array<IcmpLimiter::Source>(256);
  tables.next_hops = arena.make_array<NextHop>(count_for<NextHop>(memory, 16, 256, 65536));
  tables.connected = arena.make_array<ConnectedRoute>(interfaces * kMaxAddresses * 2);
  // The router itself and its static routes still have to fit; the forwarding table gets most of the rest.
  const std::size_t reserved = sizeof(Router) + 4096 + memory / 8;
  const std::size_t fib_bytes = arena.available() > reserved ? (arena.available() - reserved) / 8 * 8 : 0;
  const auto fib_memory = arena.take(fib_bytes, alignof(std::uint64_t));
  tables.fib_memory = {reinterpret_cast<std::uint64_t*>(fib_memory.data()), fib_memory.size() / 8};
  if (!tables.complete()) return nullptr;
  Router* router = arena.make<Router>(config, tables, arena, environment, output);
  return router != nullptr && router->state_.configuration.valid() ? router : nullptr;
}

Router::Router(const RouterConfig& config, const Tables& tables, Arena& arena, Environment& environment,
               ConsoleOutput& output) noexcept
    : state_{Plane{.interfaces = tables.interfaces,
                   .counters = {},
                   .transmitter =
                       Transmitter(environment, tables.interfaces, tables.queues, state_.plane.counters),
                   .neighbors = NeighborTable(tables.neighbors, tables.neighbor_buckets),
                   .routes = RouteTable(tables.fib_memory, tables.next_hops, tables.connected),
                   .icmp_limiter = IcmpLimiter(tables.icmp_sources)},
             Configuration(config.interfaces, config.hostname, arena,
                           arena.available() / (2 * sizeof(StaticRoute))),
             config.version, kNever},
      console_(state_, output) {
  for (std::size_t i = 0; i < tables.interfaces.size(); ++i) {
    Interface& interface = state_.plane.interfaces[i];
    interface.id = static_cast<InterfaceId>(i);
    interface.name.assign(config.interfaces[i].name);
    interface.mac = config.interfaces[i].mac;
    interface.mtu = config.interfaces[i].mtu;
  }
  state_.plane.icmp_listener = &console_.ping_;
}

void Router::set_time(Nanoseconds now) noexcept {
  state_.plane.now = now;
  if (state_.started == kNever) state_.started = now;
}

std::size_t Router::configure(std::string_view text, ConfigErrorSink& errors, Nanoseconds now) noexcept {
  set_time(now);
  std::size_t count = apply_config(state_.configuration, text, errors);
  if (const std::size_t missing = reconcile(state_); missing != 0) {
    ConfigError error;
    set_text(error.problem, "no memory for ", static_cast<std::uint64_t>(missing),
             " routes: they are not installed");
    set_text(error.remedy, "give the router more memory");
    errors.report(error);
    ++count;
  }
  state_.plane.transmitter.flush();
  return count;
}

void Router::receive(std::span<PacketBuffer* const> packets, Nanoseconds now) noexcept {
  set_time(now);
  input_burst(state_.plane, packets);
  state_.plane.transmitter.flush();
}

Nanoseconds Router::poll(Nanoseconds now) noexcept {
  set_time(now);
  arp_poll(state_.plane);
  const Nanoseconds console_deadline = console_.poll();
  state_.plane.transmitter.flush();
  return std::min(state_.plane.neighbor_deadline, console_deadline);
}

void Router::set_link(InterfaceId interface, bool up, Nanoseconds now) noexcept {
  set_time(now);
  if (state_.plane.interface(interface).link_up == up) return;
  state_.plane.interface(interface).link_up = up;
  // Never less room than before: whether routes fit does not depend on the carrier.
  (void)reconcile(state_);
  state_.plane.transmitter.flush();
}

}  // namespace patchbay::router
