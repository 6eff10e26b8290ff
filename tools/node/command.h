// Commands inside a linux node: from the engine (output collected) and from the `patchbay exec` client
// (terminal passed through). Both enter the namespaces through a descriptor of the node's init process.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "tools/node/linux_node.h"

namespace patchbay::tools {

struct Command {
  std::vector<std::string> words;                                // program and arguments; not empty
  std::vector<std::pair<std::string, std::string>> environment;  // on top of the caller's own
};

struct CommandResult {
  int status = 0;            // exit status, 128 + signal number as shells count, 124 after a time-out
  std::string output;        // standard output, up to kMaxCommandOutput
  std::string error_output;  // standard error, likewise
  bool timed_out = false;
};

inline constexpr std::size_t kMaxCommandOutput = 1 << 20;  // bytes

/// Runs a command in the namespaces of the process behind `pid_fd` and collects what it prints. Blocks the
/// calling thread until it ends or is killed after `timeout`. Throws NodeError if it cannot be started.
[[nodiscard]] CommandResult run_in_node(int pid_fd, const Command& command,
                                        std::chrono::milliseconds timeout);

/// The same with this process's standard input, output and error. Returns the status. SIGINT and SIGQUIT from
/// the terminal reach the command and not this process.
[[nodiscard]] int run_in_node_attached(int pid_fd, const Command& command);

}  // namespace patchbay::tools
