// The router's console: a line editor and the commands behind it.
#pragma once

#include <string_view>

#include "appliances/router/core/address.h"

namespace patchbay::router {

class Console {
 public:
  /// Prints the banner and the first prompt.
  void start() noexcept;
  /// Takes characters as they were typed. Output goes to ConsoleOutput at once; long commands such as ping go
  /// on in Router::poll().
  void input(std::string_view typed, Nanoseconds now) noexcept;
};

}  // namespace patchbay::router
