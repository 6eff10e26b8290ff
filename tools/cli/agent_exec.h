// Commands in guests, through the engine and the guest's agent (tools/agent/protocol.h).
#pragma once

#include <chrono>
#include <string>

#include "tools/control/client.h"
#include "tools/node/command.h"

namespace patchbay::tools::cli {

/// Runs a command with this process's standard input, output and error; SIGINT, SIGTERM and SIGQUIT go to the
/// command. Returns its status. Throws RequestError if the guest takes no commands.
[[nodiscard]] int exec_in_guest(control::Client client, const std::string& node, const Command& command);

/// Runs a command without input and collects its output; status 124 after `timeout`.
[[nodiscard]] CommandResult run_in_guest(control::Client client, const std::string& node,
                                         const Command& command, std::chrono::milliseconds timeout);

}  // namespace patchbay::tools::cli
