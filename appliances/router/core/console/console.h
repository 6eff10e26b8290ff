// The router's console: FRR-like commands over a line editor, in three modes (exec, configure, interface).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "appliances/router/core/address.h"
#include "appliances/router/core/config/config_parser.h"
#include "appliances/router/core/console/line_editor.h"
#include "appliances/router/core/console/ping.h"
#include "appliances/router/core/console/printer.h"
#include "appliances/router/core/state.h"

namespace patchbay::router {

class Console {
 public:
  Console(RouterState& state, ConsoleOutput& output) noexcept
      : state_(state), printer_(output), editor_(output), ping_(state.plane, printer_) {}

  /// Prints the banner and the first prompt.
  void start() noexcept;
  /// Takes characters as they were typed. Output goes to ConsoleOutput at once; long commands such as ping go
  /// on in Router::poll(), and what is typed meanwhile waits, but for ^C.
  void input(std::string_view typed, Nanoseconds now) noexcept;

 private:
  friend class Router;

  /// Goes on with a long command; returns its next deadline.
  [[nodiscard]] Nanoseconds poll() noexcept;
  void take(char c) noexcept;
  void take_waiting() noexcept;
  void run_line() noexcept;
  void run_exec(const Words& words) noexcept;
  void run_config(std::string_view line) noexcept;
  void run_exit() noexcept;
  void start_ping(const Words& words) noexcept;
  void show_help() noexcept;
  void complete() noexcept;
  void suggest(const Words& words, Suggestions& suggestions) const noexcept;
  void print_error(const ConfigError& error) noexcept;
  void print_prompt() noexcept;
  [[nodiscard]] bool busy() const noexcept { return ping_.running(); }

  RouterState& state_;
  Printer printer_;
  LineEditor editor_;
  Ping ping_;
  bool configuring_ = false;
  ConfigContext context_;
  std::array<char, 128> waiting_{};  // typed while a command was running
  std::size_t waiting_count_ = 0;
};

}  // namespace patchbay::router
