#include "appliances/router/core/console/show.h"

#include <algorithm>
#include <string_view>

namespace patchbay::router {
namespace {

/// One line of a static route's target: "via 10.0.0.1, eth0", "is directly connected, eth0", "blackhole".
void write_target(TextWriter& text, const RouterState& state, const StaticRoute& route) noexcept {
  NextHop next_hop;
  const bool usable = resolve_static_route(state.plane.interfaces, route, next_hop);
  switch (route.kind) {
    case StaticRoute::Kind::gateway:
      text << " via " << route.gateway;
      if (usable) text << ", " << state.plane.interfaces[next_hop.interface].name.view();
      break;
    case StaticRoute::Kind::interface:
      text << " is directly connected, " << state.plane.interfaces[route.interface].name.view();
      break;
    case StaticRoute::Kind::blackhole:
      text << " blackhole";
      break;
    case StaticRoute::Kind::reject:
      text << " reject";
      break;
  }
  if (!usable) text << " inactive";
}

void print_static(Printer& printer, const RouterState& state, const StaticRoute& route) noexcept {
  TextWriter& text = printer.begin();
  text << (route.installed ? "S>* " : "S   ") << route.prefix << " [" << route.distance << "/0]";
  write_target(text, state, route);
  printer.end();
}

void print_connected(Printer& printer, const RouterState& state, const ConnectedRoute& route) noexcept {
  printer.line(route.local ? "L>* " : "C>* ", route.prefix, " is directly connected, ",
               state.plane.interfaces[route.interface].name.view());
}

std::string_view up_or_down(bool up) noexcept {
  return up ? "up" : "down";
}

void print_count(Printer& printer, std::string_view name, std::uint64_t count) noexcept {
  TextWriter& text = printer.begin();
  text << "  " << name;
  text.pad_to(26) << count;
  printer.end();
}

}  // namespace

void show_interface(Printer& printer, const RouterState& state, InterfaceId id) noexcept {
  const Interface& interface = state.plane.interfaces[id];
  const auto& settings = state.configuration.interfaces()[id];
  printer.line("Interface ", interface.name.view(), " is ",
               interface.shutdown ? std::string_view("administratively down") : std::string_view("up"),
               ", line protocol is ", up_or_down(interface.up()));
  if (!settings.description.empty()) printer.line("  Description: ", settings.description.view());
  printer.line("  HWaddr: ", interface.mac);
  printer.line("  mtu ", interface.mtu);
  for (const auto& own : settings.addresses())
    printer.line("  inet ", own);
  const auto& counters = interface.counters;
  printer.line("  received: ", counters.rx_frames, " frames, ", counters.rx_bytes, " bytes, ",
               counters.rx_dropped, " dropped");
  printer.line("  sent: ", counters.tx_frames, " frames, ", counters.tx_bytes, " bytes, ",
               counters.tx_dropped, " dropped");
}

void show_interfaces(Printer& printer, const RouterState& state) noexcept {
  for (const auto& interface : state.plane.interfaces)
    show_interface(printer, state, interface.id);
}

void show_interfaces_brief(Printer& printer, const RouterState& state) noexcept {
  const auto row = [&](std::string_view name, std::string_view status, std::string_view protocol,
                       auto address) {
    TextWriter& text = printer.begin();
    text << name;
    text.pad_to(16) << status;
    text.pad_to(24) << protocol;
    text.pad_to(34) << address;
    printer.end();
  };
  row("Interface", "Status", "Protocol", std::string_view("Addresses"));
  row("---------", "------", "--------", std::string_view("---------"));
  for (const auto& interface : state.plane.interfaces) {
    const auto addresses = interface.addresses();
    const auto status = up_or_down(!interface.shutdown);
    const auto protocol = up_or_down(interface.up());
    if (addresses.empty()) {
      row(interface.name.view(), status, protocol, std::string_view("unassigned"));
    } else {
      row(interface.name.view(), status, protocol, addresses.front());
    }
    for (std::size_t i = 1; i < addresses.size(); ++i)
      row("", "", "", addresses[i]);
  }
}

void show_routes(Printer& printer, const RouterState& state) noexcept {
  printer.line("Codes: C - connected, L - local, S - static,");
  printer.line("       > - selected route, * - FIB route");
  printer.line();
  // Both lists are sorted by prefix.
  auto connected = state.plane.routes.connected();
  auto statics = state.configuration.static_routes();
  while (!connected.empty() || !statics.empty()) {
    const bool next_is_static =
        connected.empty() || (!statics.empty() && statics.front().prefix < connected.front().prefix);
    if (next_is_static) {
      print_static(printer, state, statics.front());
      statics = statics.subspan(1);
    } else {
      print_connected(printer, state, connected.front());
      connected = connected.subspan(1);
    }
  }
}

void show_route(Printer& printer, RouterState& state, Ipv4Address destination) noexcept {
  const NextHop* next_hop = state.plane.routes.lookup(destination);
  if (next_hop == nullptr) return printer.line("% Network not in table");
  const auto interface_name = [&] { return state.plane.interfaces[next_hop->interface].name.view(); };
  switch (next_hop->kind) {
    case NextHop::Kind::local:
      return printer.line(destination, " is an address of this router, ", interface_name());
    case NextHop::Kind::broadcast:
      return printer.line(destination, " is the broadcast or network address of a network on ",
                          interface_name());
    case NextHop::Kind::attached:
      return printer.line(destination, " is directly connected, ", interface_name());
    case NextHop::Kind::gateway:
      return printer.line(destination, " via ", next_hop->gateway, ", ", interface_name());
    case NextHop::Kind::blackhole:
      return printer.line(destination, " blackhole");
    case NextHop::Kind::reject:
      return printer.line(destination, " reject");
  }
}

void show_neighbors(Printer& printer, const RouterState& state) noexcept {
  const auto row = [&](auto address, std::string_view interface, auto mac, std::string_view status,
                       auto age) {
    TextWriter& text = printer.begin();
    text << address;
    text.pad_to(16) << interface;
    text.pad_to(32) << mac;
    text.pad_to(50) << status;
    text.pad_to(61) << age;
    printer.end();
  };
  row(std::string_view("Address"), "Interface", std::string_view("HWaddr"), "State", std::string_view("Age"));
  for (const auto& neighbor : state.plane.neighbors.entries()) {
    if (neighbor.state == NeighborState::unused) continue;
    const auto name = state.plane.interfaces[neighbor.interface].name.view();
    if (neighbor.updated == 0) {
      row(neighbor.address, name, std::string_view("-"), to_string(neighbor.state), std::string_view("-"));
    } else {
      std::array<char, 32> buffer;
      TextWriter age(buffer);
      age.clock(state.plane.now - neighbor.updated);
      row(neighbor.address, name, neighbor.mac(), to_string(neighbor.state), age.view());
    }
  }
}

void show_counters(Printer& printer, const RouterState& state) noexcept {
  const auto& counters = state.plane.counters;
  printer.line("Packets");
  print_count(printer, "received", counters.received);
  print_count(printer, "forwarded", counters.forwarded);
  print_count(printer, "consumed", counters.consumed);
  print_count(printer, "originated", counters.originated);
  print_count(printer, "transmitted", counters.transmitted);
  print_count(printer, "fragmented", counters.fragmented);
  print_count(printer, "fragments_made", counters.fragments_made);
  print_count(printer, "held", counters.held);
  print_count(printer, "icmp_errors", counters.icmp_errors);
  print_count(printer, "icmp_suppressed", counters.icmp_suppressed);
  printer.line("Dropped");
  for (std::size_t i = 0; i < kDropReasons; ++i) {
    if (counters.dropped[i] != 0)
      print_count(printer, to_string(static_cast<DropReason>(i)), counters.dropped[i]);
  }
  print_count(printer, "total", counters.total_dropped());
}

void show_version(Printer& printer, const RouterState& state) noexcept {
  printer.line("Patchbay router ", state.version.view());
  TextWriter& text = printer.begin();
  text << state.configuration.hostname() << " is up ";
  text.clock(state.plane.now - std::min(state.started, state.plane.now));
  printer.end();
  const Fib& fib = state.plane.routes.fib();
  printer.line(static_cast<std::uint64_t>(state.plane.interfaces.size()), " interfaces, ",
               static_cast<std::uint64_t>(fib.size()), " prefixes in ",
               static_cast<std::uint64_t>(fib.memory_used()), " bytes, ",
               static_cast<std::uint64_t>(state.plane.neighbors.size()), " neighbours");
}

void show_running_config(Printer& printer, const Configuration& configuration) noexcept {
  printer.line("hostname ", configuration.hostname());
  printer.line("!");
  for (const auto& interface : configuration.interfaces()) {
    printer.line("interface ", interface.name.view());
    if (!interface.description.empty()) printer.line(" description ", interface.description.view());
    if (interface.mtu != 0) printer.line(" mtu ", interface.mtu);
    for (const auto& own : interface.addresses())
      printer.line(" ip address ", own);
    if (interface.shutdown) printer.line(" shutdown");
    printer.line("exit");
    printer.line("!");
  }
  for (const auto& route : configuration.static_routes()) {
    TextWriter& text = printer.begin();
    text << "ip route " << route.prefix;
    if (route.kind == StaticRoute::Kind::gateway) text << ' ' << route.gateway;
    if (route.interface != kNoInterface)
      text << ' ' << configuration.interfaces()[route.interface].name.view();
    if (route.kind == StaticRoute::Kind::blackhole) text << " blackhole";
    if (route.kind == StaticRoute::Kind::reject) text << " reject";
    if (route.distance != 1) text << ' ' << route.distance;
    printer.end();
  }
  printer.line("end");
}

}  // namespace patchbay::router
