// The grammar of commands, shared by configuration text and console: patterns in FRR's notation, matched word
// by word, with unambiguous abbreviations.
//
// A pattern is words separated by spaces: a keyword in lower case; A.B.C.D and A.B.C.D/M; a range such as
// (1-255); IFNAME, any word that does not begin with a digit; WORD, any word; LINE, the rest of the line.
// Words in brackets at the end may be left out: "[(1-255)]".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "appliances/router/core/config/config_error.h"

namespace patchbay::router {

struct Word {
  std::string_view text;
  std::uint32_t column = 0;  // from 1
};

/// A line cut into words, which refer to the line. Words beyond kMax, more than any pattern has, are only in
/// rest().
class Words {
 public:
  static constexpr std::size_t kMax = 16;

  explicit Words(std::string_view line) noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] const Word& operator[](std::size_t i) const noexcept { return words_[i]; }
  /// True for a line that is empty or begins with the comment sign '!' or '#'.
  [[nodiscard]] bool is_comment() const noexcept {
    return empty() || words_[0].text.front() == '!' || words_[0].text.front() == '#';
  }
  /// Everything from word `i` to the end of the line, without trailing spaces.
  [[nodiscard]] std::string_view rest(std::size_t i) const noexcept;
  /// Behind the last word: where a missing one belongs.
  [[nodiscard]] std::uint32_t end_column() const noexcept;
  /// True if a space follows the last word: what is typed next begins a new one.
  [[nodiscard]] bool ends_with_space() const noexcept { return ends_with_space_; }

 private:
  std::string_view line_;
  std::array<Word, kMax> words_{};
  std::size_t size_ = 0;
  bool ends_with_space_ = false;
};

struct Command {
  std::string_view pattern;
  std::uint8_t id;  // the caller's
  std::string_view help;
};

struct CommandMatch {
  const Command* command = nullptr;  // nullptr: `error` tells why
  ConfigError error;                 // line is left 0
};

/// The command that the words mean.
[[nodiscard]] CommandMatch match_command(std::span<const Command> commands, const Words& words) noexcept;

/// Receives the ways in which a line can go on.
class Suggestions {
 public:
  /// `word` is a word of the pattern of `command`, and what was typed of it matches.
  virtual void suggest(const Command& command, std::string_view word) = 0;

 protected:
  ~Suggestions() = default;
};

/// Lists, for help and completion, the commands that the line can still become, each with the word that would
/// be next: the one the line ends in, or a new one if it ends with a space. Completed commands suggest
/// "<cr>".
void suggest_commands(std::span<const Command> commands, const Words& words,
                      Suggestions& suggestions) noexcept;

/// Builds an error about word `i` of the line, or about a missing word if there are not so many.
[[nodiscard]] ConfigError error_at(const Words& words, std::size_t i) noexcept;

/// Appends to the text of an error.
template <std::size_t N, typename... Parts>
void set_text(FixedText<N>& text, const Parts&... parts) noexcept {
  std::array<char, N> buffer;
  TextWriter writer(buffer);
  (void)(writer << ... << parts);
  text.assign(writer.view());
}

}  // namespace patchbay::router
