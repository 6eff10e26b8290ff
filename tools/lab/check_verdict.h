// How a check is carried out and judged. Runs nothing itself: the caller runs the command in the node and
// hands its outcome back.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tools/lab/model.h"

namespace patchbay::tools {

struct CheckCommand {
  std::size_t node = 0;           // index into Lab::nodes: where to run it
  std::vector<std::string> argv;  // looked up in PATH
};

struct CommandOutcome {
  int exit_status = 0;       // 128 + signal if one ended it; 127 if the program is missing
  std::string output;        // standard output
  std::string error_output;  // standard error
};

struct Verdict {
  bool passed = false;
  std::string explanation;  // one line: what was found, and where it failed also what was expected
};

[[nodiscard]] CheckCommand command_of(const Check& check);
[[nodiscard]] Verdict judge(const Check& check, const CommandOutcome& outcome);

}  // namespace patchbay::tools
