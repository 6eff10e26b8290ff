// Configuration text in FRR's syntax, line by line.
//
//   hostname NAME                         interface IFNAME
//   ip route A.B.C.D/M A.B.C.D [IFNAME]     ip address A.B.C.D/M
//   ip route A.B.C.D/M IFNAME               mtu (68-65535)
//   ip route A.B.C.D/M null0|blackhole      description LINE
//   ip route A.B.C.D/M reject               shutdown
//
// Routes end with an optional distance (1-255); "no" in front undoes; '!' and '#' begin comment lines. Lines
// of FRR that mean nothing here (frr version, log, service, line vty ...) are accepted and ignored. Parsing
// and checking need no router: validate_config() is what the lab tool calls before it deploys.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "appliances/router/core/cli/grammar.h"
#include "appliances/router/core/config/config_error.h"
#include "appliances/router/core/config/configuration.h"

namespace patchbay::router {

/// Where in the configuration the next line belongs.
struct ConfigContext {
  InterfaceId interface = kNoInterface;  // inside "interface IFNAME"
  bool unknown_interface = false;        // inside one that does not exist: its lines have no effect
  bool ended = false;                    // by "end", or by "exit" outside an interface
};

/// The commands possible in a context, for help; the global ones are possible everywhere.
[[nodiscard]] std::span<const Command> global_config_commands() noexcept;
[[nodiscard]] std::span<const Command> interface_config_commands() noexcept;

/// Applies one line. On error the configuration is unchanged; the error's line is left 0.
[[nodiscard]] std::optional<ConfigError> apply_config_line(Configuration& configuration,
                                                           ConfigContext& context,
                                                           std::string_view line) noexcept;

/// Applies a text, lines with errors left out. Returns the number of errors.
std::size_t apply_config(Configuration& configuration, std::string_view text,
                         ConfigErrorSink& errors) noexcept;

/// Checks a text for a router with these interfaces. Returns the number of errors; one more, at line 0, is
/// reported if `arena` is too small to hold the configuration (1 MiB hold 20,000 static routes).
std::size_t validate_config(std::string_view text, std::span<const InterfaceConfig> interfaces, Arena& arena,
                            ConfigErrorSink& errors) noexcept;

}  // namespace patchbay::router
