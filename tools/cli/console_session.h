// A connection to a router's serial console, for people (attach) and for single commands (run).
#pragma once

#include <string>

#include "vswitch/file_descriptor.h"

namespace patchbay::tools::cli {

class ConsoleSession {
 public:
  /// `socket` is the node's console socket, `prompt` what the router prints when it waits for a command ("r1#
  /// "). Throws std::system_error.
  ConsoleSession(const std::string& socket, std::string prompt);

  /// Types one command and returns what it prints, up to the next prompt. Throws std::runtime_error after a
  /// minute.
  [[nodiscard]] std::string run(const std::string& command);
  /// Connects this process's standard input and output until Ctrl-] or the end of the input.
  void attach();

 private:
  [[nodiscard]] std::string read_until_prompt(int timeout_milliseconds);
  void send(const std::string& text);

  vswitch::FileDescriptor socket_;
  std::string prompt_;
};

}  // namespace patchbay::tools::cli
