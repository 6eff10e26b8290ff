#include "appliances/router/core/cli/grammar.h"

#include <algorithm>

#include "appliances/router/core/cli/parse.h"

namespace patchbay::router {
namespace {

/// How well a word of a line fits a word of a pattern. A better fit excludes worse ones.
enum class Fit : std::uint8_t { none, any, prefix, typed, exact };

struct Token {
  std::string_view text;  // without brackets
  bool optional = false;
};

/// Takes the next word off a pattern; an empty one at its end.
Token take_token(std::string_view& pattern) noexcept {
  Token token;
  const std::size_t end = std::min(pattern.find(' '), pattern.size());
  token.text = std::string_view(pattern.data(), end);
  pattern.remove_prefix(std::min(end + 1, pattern.size()));
  if (token.text.size() > 2 && token.text.front() == '[') {
    token.text.remove_prefix(1);
    token.text.remove_suffix(1);
    token.optional = true;
  }
  return token;
}

/// Word `i` of a pattern; LINE stands for every word from its place on.
Token token_at(std::string_view pattern, std::size_t i) noexcept {
  for (;; --i) {
    const Token token = take_token(pattern);
    if (i == 0 || token.text.empty() || token.text == "LINE") return token;
  }
}

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

bool is_keyword(std::string_view token) noexcept {
  return token.front() >= 'a' && token.front() <= 'z';
}

bool in_range(std::string_view token, std::string_view word) noexcept {
  const auto number = parse_number(word);
  const std::size_t dash = token.find('-');
  const auto low = parse_number({token.data() + 1, dash - 1});
  const auto high = parse_number({token.data() + dash + 1, token.size() - dash - 2});
  return number && *number >= *low && *number <= *high;
}

Fit fit(std::string_view token, std::string_view word) noexcept {
  if (token.empty()) return Fit::none;
  if (is_keyword(token)) {
    if (token == word) return Fit::exact;
    return token.starts_with(word) ? Fit::prefix : Fit::none;
  }
  if (token == "WORD" || token == "LINE") return Fit::any;
  if (token == "IFNAME") return is_digit(word.front()) ? Fit::none : Fit::any;
  bool typed = false;
  if (token == "A.B.C.D") {
    typed = parse_address(word).has_value();
  } else if (token == "A.B.C.D/M") {
    typed = parse_prefix(word).has_value();
  } else {
    typed = in_range(token, word);
  }
  return typed ? Fit::typed : Fit::none;
}

/// The commands still possible, one bit each.
class Candidates {
 public:
  explicit Candidates(std::size_t count) noexcept : bits_(count == 64 ? ~0ULL : (1ULL << count) - 1) {}
  [[nodiscard]] bool has(std::size_t i) const noexcept { return (bits_ >> i & 1) != 0; }
  void remove(std::size_t i) noexcept { bits_ &= ~(1ULL << i); }
  [[nodiscard]] bool none() const noexcept { return bits_ == 0; }

 private:
  std::uint64_t bits_;
};

/// Narrows the candidates to those whose word `i` fits `word` best.
void narrow(std::span<const Command> commands, Candidates& candidates, std::size_t i,
            std::string_view word) noexcept {
  Fit best = Fit::none;
  for (std::size_t c = 0; c < commands.size(); ++c) {
    if (candidates.has(c)) best = std::max(best, fit(token_at(commands[c].pattern, i).text, word));
  }
  for (std::size_t c = 0; c < commands.size(); ++c) {
    if (!candidates.has(c)) continue;
    const Fit own = fit(token_at(commands[c].pattern, i).text, word);
    if (own == Fit::none || own != best) candidates.remove(c);
  }
}

/// Calls action(token) for each different word that may stand at place `i`.
template <typename Action>
void for_each_expected(std::span<const Command> commands, const Candidates& candidates, std::size_t i,
                       Action action) noexcept {
  for (std::size_t c = 0; c < commands.size(); ++c) {
    if (!candidates.has(c)) continue;
    const std::string_view token = token_at(commands[c].pattern, i).text;
    bool known = token.empty();
    for (std::size_t other = 0; other < c && !known; ++other) {
      known = candidates.has(other) && token_at(commands[other].pattern, i).text == token;
    }
    if (!known) action(token);
  }
}

std::size_t count_expected(std::span<const Command> commands, const Candidates& candidates,
                           std::size_t i) noexcept {
  std::size_t count = 0;
  for_each_expected(commands, candidates, i, [&](std::string_view) { ++count; });
  return count;
}

/// What a word of a pattern stands for, for people.
enum class Detail : std::uint8_t { brief, with_example };
void describe(TextWriter& text, std::string_view token, Detail detail) noexcept {
  const bool example = detail == Detail::with_example;
  if (is_keyword(token)) {
    text << '\'' << token << '\'';
  } else if (token == "A.B.C.D") {
    text << "an IPv4 address" << (example ? " such as 10.0.1.1" : "");
  } else if (token == "A.B.C.D/M") {
    text << "an IPv4 address with a prefix length" << (example ? " such as 10.0.1.1/24" : "");
  } else if (token == "IFNAME") {
    text << "an interface name";
  } else if (token == "WORD" || token == "LINE") {
    text << "a word";
  } else {
    const std::size_t dash = token.find('-');
    text << "a number from " << std::string_view(token.data() + 1, dash - 1) << " to "
         << std::string_view(token.data() + dash + 1, token.size() - dash - 2);
  }
}

/// "write A, B or C".
void write_expected(FixedText<300>& remedy, std::span<const Command> commands, const Candidates& candidates,
                    std::size_t i) noexcept {
  std::array<char, 300> buffer;
  TextWriter text(buffer);
  const std::size_t count = count_expected(commands, candidates, i);
  std::size_t at = 0;
  text << (count == 0 ? "remove it" : "write ");
  for_each_expected(commands, candidates, i, [&](std::string_view token) {
    if (at != 0) text << (at + 1 == count ? " or " : ", ");
    describe(text, token, Detail::with_example);
    ++at;
  });
  remedy.assign(text.view());
}

ConfigError unknown_word(std::span<const Command> commands, const Candidates& before, const Words& words,
                         std::size_t i) noexcept {
  ConfigError error = error_at(words, i);
  const std::string_view word = error.word.view();
  std::string_view only;
  const std::size_t expected = count_expected(commands, before, i);
  for_each_expected(commands, before, i, [&](std::string_view token) { only = token; });
  if (expected == 0) {
    set_text(error.problem, "'", word, "' is one word too many");
  } else if (i == 0) {
    set_text(error.problem, "'", word, "' is not a command");
  } else if (expected > 1 || is_keyword(only)) {
    set_text(error.problem, "'", word, "' is not possible here");
  } else {
    std::array<char, 200> buffer;
    TextWriter text(buffer);
    text << '\'' << word << "' is not ";
    describe(text, only, Detail::brief);
    error.problem.assign(text.view());
  }
  write_expected(error.remedy, commands, before, i);
  return error;
}

}  // namespace

Words::Words(std::string_view line) noexcept : line_(line) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  std::size_t at = 0;
  for (;;) {
    while (at < line.size() && is_space(line[at]))
      ++at;
    if (at == line.size()) break;
    const std::size_t first = at;
    while (at < line.size() && !is_space(line[at]))
      ++at;
    if (size_ == kMax) break;
    words_[size_++] = {{line.data() + first, at - first}, static_cast<std::uint32_t>(first + 1)};
  }
  ends_with_space_ = !line.empty() && is_space(line.back());
}

std::string_view Words::rest(std::size_t i) const noexcept {
  if (i >= size_) return {};
  const char* first = words_[i].text.data();
  std::string_view rest(first, static_cast<std::size_t>(line_.data() + line_.size() - first));
  while (rest.back() == ' ' || rest.back() == '\t' || rest.back() == '\r')
    rest.remove_suffix(1);
  return rest;
}

std::uint32_t Words::end_column() const noexcept {
  return size_ == 0 ? 1
                    : words_[size_ - 1].column + static_cast<std::uint32_t>(words_[size_ - 1].text.size());
}

ConfigError error_at(const Words& words, std::size_t i) noexcept {
  ConfigError error;
  error.column = i < words.size() ? words[i].column : words.end_column();
  if (i < words.size()) error.word.assign(words[i].text);
  return error;
}

CommandMatch match_command(std::span<const Command> commands, const Words& words) noexcept {
  CommandMatch match;
  Candidates candidates(commands.size());
  for (std::size_t i = 0; i < words.size(); ++i) {
    const Candidates before = candidates;
    narrow(commands, candidates, i, words[i].text);
    if (candidates.none()) {
      match.error = unknown_word(commands, before, words, i);
      return match;
    }
    if (count_expected(commands, candidates, i) > 1) {
      match.error = error_at(words, i);
      set_text(match.error.problem, "'", match.error.word.view(), "' is ambiguous");
      write_expected(match.error.remedy, commands, candidates, i);
      return match;
    }
  }
  for (std::size_t c = 0; c < commands.size(); ++c) {
    if (!candidates.has(c)) continue;
    const Token next = token_at(commands[c].pattern, words.size());
    // LINE repeats for ever; it needs one word.
    const bool in_line = next.text == "LINE" && words.size() != 0 &&
                         token_at(commands[c].pattern, words.size() - 1).text == "LINE";
    if (next.text.empty() || next.optional || in_line) {
      match.command = &commands[c];
      return match;
    }
  }
  match.error = error_at(words, words.size());
  set_text(match.error.problem, "the command is incomplete");
  write_expected(match.error.remedy, commands, candidates, words.size());
  return match;
}

void suggest_commands(std::span<const Command> commands, const Words& words,
                      Suggestions& suggestions) noexcept {
  const bool in_word = !words.empty() && !words.ends_with_space();
  const std::size_t complete = words.size() - (in_word ? 1 : 0);
  Candidates candidates(commands.size());
  for (std::size_t i = 0; i < complete; ++i)
    narrow(commands, candidates, i, words[i].text);
  for (std::size_t c = 0; c < commands.size(); ++c) {
    if (!candidates.has(c)) continue;
    const std::string_view next = token_at(commands[c].pattern, complete).text;
    if (in_word) {
      const std::string_view typed = words[complete].text;
      // A half-typed address or number cannot be judged yet.
      const bool possible = !next.empty() && (!is_keyword(next) || next.starts_with(typed));
      if (possible) suggestions.suggest(commands[c], next);
    } else {
      suggestions.suggest(commands[c], next.empty() ? std::string_view("<cr>") : next);
    }
  }
}

}  // namespace patchbay::router
