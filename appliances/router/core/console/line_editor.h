// The line being typed: echo, backspace, history. It knows nothing of commands.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "appliances/router/core/environment.h"
#include "appliances/router/core/text.h"

namespace patchbay::router {

class LineEditor {
 public:
  static constexpr std::size_t kMaxLine = 250;

  enum class Event : std::uint8_t {
    none,
    line,          // a line is complete: line(), then reset()
    interrupt,     // ^C
    end_of_input,  // ^D on an empty line
    help,          // '?'
    complete,      // tab
  };

  explicit LineEditor(ConsoleOutput& output) noexcept : output_(output) {}

  /// Takes one character and echoes what it does.
  [[nodiscard]] Event feed(char c) noexcept;
  [[nodiscard]] std::string_view line() const noexcept { return {line_.data(), size_}; }
  /// Adds to the line as if it had been typed.
  void type(std::string_view text) noexcept;
  /// Begins a new line; the old one goes to the history if `remember`.
  void reset(bool remember) noexcept;

 private:
  enum class Escape : std::uint8_t { none, started, bracket };

  static constexpr std::size_t kHistory = 8;

  void erase(std::size_t count) noexcept;
  void recall(std::size_t age) noexcept;

  ConsoleOutput& output_;
  std::array<char, kMaxLine> line_{};
  std::size_t size_ = 0;
  Escape escape_ = Escape::none;
  bool after_return_ = false;                            // a line feed that follows belongs to it
  std::array<FixedText<kMaxLine>, kHistory> history_{};  // a ring
  std::size_t remembered_ = 0;                           // lines ever put into it
  std::size_t recalled_ = 0;                             // how far back the current line is; 0: the new one
};

}  // namespace patchbay::router
