// Reading and validating a node's startup configuration. Errors name the line and column of the
// configuration, in the file it stands in.
#pragma once

#include <optional>
#include <string>

#include "tools/lab/load.h"
#include "tools/lab/model.h"
#include "tools/lab/reader.h"

namespace patchbay::tools {

/// Reads what a `startup-config` setting names: text of several lines is the configuration itself, anything
/// else a path relative to the lab file. Nothing, and an error, if it cannot be read.
[[nodiscard]] std::optional<StartupConfig> read_startup_config(const Located<std::string>& setting,
                                                               const std::filesystem::path& lab_file,
                                                               const Surroundings& surroundings,
                                                               Diagnostics& diagnostics);

/// Lets the router's own parser read the whole configuration that the node would boot with.
void check_router_config(const Node& router, Diagnostics& diagnostics);

}  // namespace patchbay::tools
