#include "appliances/router/core/config/config_parser.h"

#include <algorithm>
#include <array>

#include "appliances/router/core/cli/parse.h"

namespace patchbay::router {
namespace {

enum ConfigCommand : std::uint8_t {
  kHostname,
  kInterface,
  kRouteGateway,
  kRouteGatewayInterface,
  kRouteInterface,
  kRouteBlackhole,
  kRouteReject,
  kNoRouteGateway,
  kNoRouteGatewayInterface,
  kNoRouteInterface,
  kNoRouteBlackhole,
  kNoRouteReject,
  kIgnored,
  kExit,
  kEnd,
  kAddress,
  kNoAddress,
  kMtu,
  kNoMtu,
  kDescription,
  kNoDescription,
  kShutdown,
  kNoShutdown,
};

constexpr std::array kGlobalCommands{
    Command{"hostname WORD", kHostname, "Set the router's name"},
    Command{"interface IFNAME", kInterface, "Configure an interface"},
    Command{"ip route A.B.C.D/M A.B.C.D [(1-255)]", kRouteGateway, "Static route through a gateway"},
    Command{"ip route A.B.C.D/M A.B.C.D IFNAME [(1-255)]", kRouteGatewayInterface,
            "Static route through a gateway that is on-link at an interface"},
    Command{"ip route A.B.C.D/M IFNAME [(1-255)]", kRouteInterface,
            "Static route to destinations on-link at an interface"},
    Command{"ip route A.B.C.D/M null0 [(1-255)]", kRouteBlackhole, "Drop matching packets"},
    Command{"ip route A.B.C.D/M blackhole [(1-255)]", kRouteBlackhole, "Drop matching packets"},
    Command{"ip route A.B.C.D/M reject [(1-255)]", kRouteReject, "Drop matching packets and tell the sender"},
    Command{"no ip route A.B.C.D/M A.B.C.D [(1-255)]", kNoRouteGateway, "Remove a static route"},
    Command{"no ip route A.B.C.D/M A.B.C.D IFNAME [(1-255)]", kNoRouteGatewayInterface,
            "Remove a static route"},
    Command{"no ip route A.B.C.D/M IFNAME [(1-255)]", kNoRouteInterface, "Remove a static route"},
    Command{"no ip route A.B.C.D/M null0 [(1-255)]", kNoRouteBlackhole, "Remove a static route"},
    Command{"no ip route A.B.C.D/M blackhole [(1-255)]", kNoRouteBlackhole, "Remove a static route"},
    Command{"no ip route A.B.C.D/M reject [(1-255)]", kNoRouteReject, "Remove a static route"},
    Command{"ip forwarding", kIgnored, "Always on"},
    Command{"no ipv6 forwarding", kIgnored, "IPv6 is not forwarded"},
    Command{"frr LINE", kIgnored, "Accepted for compatibility, without effect"},
    Command{"log LINE", kIgnored, "Accepted for compatibility, without effect"},
    Command{"service LINE", kIgnored, "Accepted for compatibility, without effect"},
    Command{"line vty", kIgnored, "Accepted for compatibility, without effect"},
    Command{"exit", kExit, "Leave this level of the configuration"},
    Command{"end", kEnd, "Leave the configuration"},
};

constexpr std::array kInterfaceCommands{
    Command{"ip address A.B.C.D/M", kAddress, "Add an address"},
    Command{"no ip address A.B.C.D/M", kNoAddress, "Remove an address"},
    Command{"mtu (68-65535)", kMtu, "Limit the size of IP packets sent"},
    Command{"no mtu [(68-65535)]", kNoMtu, "Send packets as large as the card can"},
    Command{"description LINE", kDescription, "Set a text that says what the interface is for"},
    Command{"no description", kNoDescription, "Remove the description"},
    Command{"shutdown", kShutdown, "Take the interface down"},
    Command{"no shutdown", kNoShutdown, "Bring the interface up"},
};

using Result = std::optional<ConfigError>;

Result failure(ConfigError error) noexcept {
  return error;
}

/// An address that a host can have (RFC 1122, 3.2.1.3).
bool is_host_address(Ipv4Address address) noexcept {
  return !address.is_this_network() && !address.is_loopback() && !address.is_multicast() &&
         !address.is_class_e();
}

Result unknown_interface(const Configuration& configuration, const Words& words, std::size_t i) noexcept {
  ConfigError error = error_at(words, i);
  set_text(error.problem, "there is no interface '", error.word.view(), "'");
  std::array<char, 300> buffer;
  TextWriter text(buffer);
  const auto interfaces = configuration.interfaces();
  text << (interfaces.empty() ? "this router has no interfaces" : "this router has ");
  for (std::size_t k = 0; k < interfaces.size(); ++k)
    text << (k == 0 ? "" : ", ") << interfaces[k].name.view();
  error.remedy.assign(text.view());
  return error;
}

Result set_hostname(Configuration& configuration, const Words& words) noexcept {
  const std::string_view name = words[1].text;
  const bool good = name.size() <= kMaxHostname && std::all_of(name.begin(), name.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                             c == '-' || c == '.' || c == '_';
                    });
  if (!good) {
    ConfigError error = error_at(words, 1);
    set_text(error.problem, "'", error.word.view(), "' is not a host name");
    set_text(error.remedy, "use up to ", std::uint32_t{kMaxHostname}, " letters, digits, '-', '.' and '_'");
    return error;
  }
  configuration.set_hostname(name);
  return std::nullopt;
}

/// Checks `address`, word `at`, for `interface`. `at` serves the error.
Result check_address(const Configuration& configuration, InterfaceId interface, Ipv4Prefix address,
                     const Words& words, std::size_t at) noexcept {
  ConfigError error = error_at(words, at);
  if (!is_host_address(address.address) || address.length == 0) {
    set_text(error.problem, address, " cannot be the address of an interface");
    set_text(error.remedy, "use a unicast address and a prefix length from 1 to 32, such as 10.0.1.1/24");
    return error;
  }
  if (address.has_broadcast() &&
      (address.address == address.broadcast() || address.address == address.network().address)) {
    const bool broadcast = address.address == address.broadcast();
    set_text(error.problem, address, " is the ", broadcast ? "broadcast" : "network",
             " address of its network");
    set_text(error.remedy, "use a host address between ", Ipv4Address{address.network().address.value + 1},
             " and ", Ipv4Address{address.broadcast().value - 1});
    return error;
  }
  for (std::size_t i = 0; i < configuration.interfaces().size(); ++i) {
    const auto& settings = configuration.interfaces()[i];
    for (const auto& other : settings.addresses()) {
      if (other.address != address.address || (i == interface && other == address)) continue;
      set_text(error.problem, address.address, " is already configured on ", settings.name.view(), " as ",
               other);
      set_text(error.remedy, "use another address, or remove that one first");
      return error;
    }
  }
  return std::nullopt;
}

Result add_address(Configuration& configuration, InterfaceId interface, const Words& words) noexcept {
  const Ipv4Prefix address = *parse_prefix(words[2].text);
  if (auto error = check_address(configuration, interface, address, words, 2)) return error;
  auto& settings = configuration.interfaces()[interface];
  const auto known = settings.addresses();
  if (std::find(known.begin(), known.end(), address) != known.end()) return std::nullopt;
  if (settings.address_count == kMaxAddresses) {
    ConfigError error = error_at(words, 2);
    set_text(error.problem, settings.name.view(), " has ", std::uint32_t{kMaxAddresses},
             " addresses already");
    set_text(error.remedy, "remove one of them first");
    return error;
  }
  settings.address_list[settings.address_count++] = address;
  return std::nullopt;
}

Result remove_address(Configuration& configuration, InterfaceId interface, const Words& words) noexcept {
  const Ipv4Prefix address = *parse_prefix(words[3].text);
  auto& settings = configuration.interfaces()[interface];
  const auto end = settings.address_list.begin() + settings.address_count;
  const auto at = std::find(settings.address_list.begin(), end, address);
  if (at == end) {
    ConfigError error = error_at(words, 3);
    set_text(error.problem, settings.name.view(), " does not have the address ", address);
    set_text(error.remedy, "name an address that 'show interface ", settings.name.view(), "' lists");
    return error;
  }
  std::move(at + 1, end, at);
  --settings.address_count;
  return std::nullopt;
}

Result set_mtu(Configuration& configuration, InterfaceId interface, const Words& words) noexcept {
  auto& settings = configuration.interfaces()[interface];
  const std::uint32_t mtu = *parse_number(words[1].text);
  if (mtu > settings.card_mtu) {
    ConfigError error = error_at(words, 1);
    set_text(error.problem, "MTU ", mtu, " is more than the card of ", settings.name.view(), " can do");
    set_text(error.remedy, "use at most ", settings.card_mtu);
    return error;
  }
  settings.mtu = mtu;
  return std::nullopt;
}

/// Reads the words of "[no] ip route ..." into `route`; the prefix is word `first`.
Result read_route(const Configuration& configuration, std::uint8_t id, const Words& words, std::size_t first,
                  StaticRoute& route) noexcept {
  route.prefix = parse_prefix(words[first].text)->network();
  std::size_t next = first + 1;
  switch (id) {
    case kRouteBlackhole:
    case kNoRouteBlackhole:
      route.kind = StaticRoute::Kind::blackhole;
      ++next;
      break;
    case kRouteReject:
    case kNoRouteReject:
      route.kind = StaticRoute::Kind::reject;
      ++next;
      break;
    case kRouteGateway:
    case kNoRouteGateway:
    case kRouteGatewayInterface:
    case kNoRouteGatewayInterface:
      route.kind = StaticRoute::Kind::gateway;
      route.gateway = *parse_address(words[next].text);
      if (!is_host_address(route.gateway)) {
        ConfigError error = error_at(words, next);
        set_text(error.problem, route.gateway, " cannot be a gateway");
        set_text(error.remedy, "use the address of a neighbouring router");
        return error;
      }
      ++next;
      if (id == kRouteGateway || id == kNoRouteGateway) break;
      [[fallthrough]];
    default: {
      if (route.kind != StaticRoute::Kind::gateway) route.kind = StaticRoute::Kind::interface;
      const std::string_view name = words[next].text;
      if (name == "Null0" && route.kind == StaticRoute::Kind::interface) {  // as other routers spell it
        route.kind = StaticRoute::Kind::blackhole;
      } else {
        const auto interface = configuration.find_interface(name);
        if (!interface) return unknown_interface(configuration, words, next);
        route.interface = *interface;
      }
      ++next;
    }
  }
  if (next < words.size()) route.distance = static_cast<std::uint8_t>(*parse_number(words[next].text));
  return std::nullopt;
}

Result add_route(Configuration& configuration, std::uint8_t id, const Words& words) noexcept {
  StaticRoute route;
  if (auto error = read_route(configuration, id, words, 2, route)) return error;
  if (configuration.add_static_route(route)) return std::nullopt;
  ConfigError error = error_at(words, 2);
  set_text(error.problem, "there is no room for more than ",
           static_cast<std::uint64_t>(configuration.static_routes().size()), " static routes");
  set_text(error.remedy, "combine routes, or give the router more memory");
  return error;
}

Result remove_route(Configuration& configuration, std::uint8_t id, const Words& words) noexcept {
  StaticRoute route;
  if (auto error = read_route(configuration, id, words, 3, route)) return error;
  if (configuration.remove_static_route(route)) return std::nullopt;
  ConfigError error = error_at(words, 3);
  set_text(error.problem, "there is no such route to ", route.prefix);
  set_text(error.remedy, "name a route that 'show running-config' lists");
  return error;
}

Result run_global(Configuration& configuration, ConfigContext& context, std::uint8_t id,
                  const Words& words) noexcept {
  const bool inside = context.interface != kNoInterface || context.unknown_interface;
  context.interface = kNoInterface;
  context.unknown_interface = false;
  switch (id) {
    case kHostname:
      return set_hostname(configuration, words);
    case kInterface: {
      const auto interface = configuration.find_interface(words[1].text);
      context.unknown_interface = !interface;
      if (!interface) return unknown_interface(configuration, words, 1);
      context.interface = *interface;
      return std::nullopt;
    }
    case kIgnored:
      return std::nullopt;
    case kExit:
      context.ended = !inside;
      return std::nullopt;
    case kEnd:
      context.ended = true;
      return std::nullopt;
    case kRouteGateway:
    case kRouteGatewayInterface:
    case kRouteInterface:
    case kRouteBlackhole:
    case kRouteReject:
      return add_route(configuration, id, words);
    default:
      return remove_route(configuration, id, words);
  }
}

Result run_interface(Configuration& configuration, InterfaceId interface, std::uint8_t id,
                     const Words& words) noexcept {
  auto& settings = configuration.interfaces()[interface];
  switch (id) {
    case kAddress:
      return add_address(configuration, interface, words);
    case kNoAddress:
      return remove_address(configuration, interface, words);
    case kMtu:
      return set_mtu(configuration, interface, words);
    case kNoMtu:
      settings.mtu = 0;
      return std::nullopt;
    case kDescription:
      settings.description.assign(words.rest(1));
      return std::nullopt;
    case kNoDescription:
      settings.description.assign({});
      return std::nullopt;
    case kShutdown:
      settings.shutdown = true;
      return std::nullopt;
    default:
      settings.shutdown = false;
      return std::nullopt;
  }
}

}  // namespace

std::span<const Command> global_config_commands() noexcept {
  return kGlobalCommands;
}
std::span<const Command> interface_config_commands() noexcept {
  return kInterfaceCommands;
}

std::optional<ConfigError> apply_config_line(Configuration& configuration, ConfigContext& context,
                                             std::string_view line) noexcept {
  const Words words(line);
  if (words.is_comment()) return std::nullopt;
  ConfigError nearest;
  if (context.interface != kNoInterface || context.unknown_interface) {
    const CommandMatch match = match_command(kInterfaceCommands, words);
    if (match.command != nullptr) {
      if (context.unknown_interface) return std::nullopt;  // one error for the whole block
      return run_interface(configuration, context.interface, match.command->id, words);
    }
    nearest = match.error;
  }
  // As in FRR, a command of the level above leaves the interface.
  const CommandMatch match = match_command(kGlobalCommands, words);
  if (match.command != nullptr) return run_global(configuration, context, match.command->id, words);
  // The reading that went further is the one that was meant.
  return failure(nearest.column >= match.error.column ? nearest : match.error);
}

std::size_t apply_config(Configuration& configuration, std::string_view text,
                         ConfigErrorSink& errors) noexcept {
  ConfigContext context;
  std::size_t count = 0;
  std::uint32_t line_number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line(text.data(), end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line_number;
    auto error = apply_config_line(configuration, context, line);
    context.ended = false;  // "end" and "exit" close levels, not the text
    if (!error) continue;
    error->line = line_number;
    errors.report(*error);
    ++count;
  }
  return count;
}

std::size_t validate_config(std::string_view text, std::span<const InterfaceConfig> interfaces, Arena& arena,
                            ConfigErrorSink& errors) noexcept {
  const std::size_t room = arena.available() / (2 * sizeof(StaticRoute));
  Configuration configuration(interfaces, "router", arena, room);
  if (!configuration.valid() || room == 0) {
    ConfigError error;
    set_text(error.problem, "there is not enough memory to check the configuration");
    set_text(error.remedy, "give the arena more than ", std::uint64_t{4096}, " bytes");
    errors.report(error);
    return 1;
  }
  return apply_config(configuration, text, errors);
}

}  // namespace patchbay::router
