#include "tools/lab/diagnostics.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace patchbay::tools {
namespace {

constexpr std::size_t kMaxShownLine = 200;  // bytes; longer lines are shown without the caret

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

std::size_t code_points(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation(c); }));
}

// Values from a file may hold anything; a terminal must not act on it.
std::string printable(std::string text, bool keep_tabs) {
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && !(keep_tabs && c == '\t')) || byte == 0x7F) c = '?';
  }
  // C1 control characters are two bytes in UTF-8: C2 80 to C2 9F.
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    const auto next = static_cast<unsigned char>(text[i + 1]);
    if (text[i] == '\xC2' && next >= 0x80 && next <= 0x9F) text.replace(i, 2, "?");
  }
  return text;
}

std::string_view name_of(Severity severity) {
  switch (severity) {
    case Severity::error:
      return "error";
    case Severity::warning:
      return "warning";
    case Severity::note:
      return "note";
  }
  return "error";
}

}  // namespace

std::string to_string(const Diagnostic& diagnostic) {
  const std::string_view line = diagnostic.source_line;
  const Position at = diagnostic.at;
  const std::size_t before = at.column == 0 ? 0 : std::min(at.column - 1, line.size());

  std::string text = diagnostic.file;
  if (at.line != 0) {
    const std::size_t column =
        line.empty() ? std::max<std::size_t>(at.column, 1) : code_points(line.substr(0, before)) + 1;
    text += fmt::format(":{}:{}", at.line, column);
  }
  text += fmt::format(": {}: {}", name_of(diagnostic.severity), diagnostic.message);
  if (!diagnostic.hint.empty()) text += "; " + diagnostic.hint;
  if (at.line == 0 || line.empty() || line.size() > kMaxShownLine) return text;

  // Tabs stay tabs in the padding, so that the caret stands under the place however wide a tab is shown.
  std::string padding;
  for (const char c : line.substr(0, before)) {
    if (!is_continuation(c)) padding += c == '\t' ? '\t' : ' ';
  }
  const std::size_t marked = std::max<std::size_t>(
      1, code_points(line.substr(before, std::max<std::size_t>(diagnostic.marked_bytes, 1))));
  text += fmt::format("\n{:>5} | {}\n      | {}^{}", at.line, line, padding, std::string(marked - 1, '~'));
  return text;
}

Diagnostics::Diagnostics(std::string file, std::string_view text) : file_(std::move(file)), text_(text) {
  line_starts_.push_back(0);
  for (std::size_t i = 0; i < text_.size(); ++i) {
    if (text_[i] == '\n') line_starts_.push_back(i + 1);
  }
}

std::string_view Diagnostics::source_line(std::size_t line) const {
  if (line == 0 || line > line_starts_.size()) return {};
  const std::size_t begin = line_starts_[line - 1];
  const std::size_t end = line < line_starts_.size() ? line_starts_[line] - 1 : text_.size();
  std::string_view content = text_.substr(begin, end - begin);
  if (!content.empty() && content.back() == '\r') content.remove_suffix(1);
  return content;
}

void Diagnostics::put(Severity severity, Position at, std::string message, std::string hint,
                      std::size_t marked_bytes) {
  add({severity, file_, at, std::move(message), std::move(hint), std::string(source_line(at.line)),
       marked_bytes});
}

void Diagnostics::error(Position at, std::string message, std::string hint, std::size_t marked_bytes) {
  put(Severity::error, at, std::move(message), std::move(hint), marked_bytes);
}

void Diagnostics::warning(Position at, std::string message, std::string hint, std::size_t marked_bytes) {
  put(Severity::warning, at, std::move(message), std::move(hint), marked_bytes);
}

void Diagnostics::note_once(const std::string& subject, Position at, std::string message, std::string hint) {
  if (kept_.size() < kMaxKept && noted_.insert(subject).second) {
    put(Severity::note, at, std::move(message), std::move(hint), 1);
  }
}

void Diagnostics::add(Diagnostic diagnostic) {
  if (diagnostic.severity == Severity::error) ++errors_;
  if (kept_.size() >= kMaxKept) {
    ++left_out_;
    return;
  }
  diagnostic.message = printable(std::move(diagnostic.message), false);
  diagnostic.hint = printable(std::move(diagnostic.hint), false);
  diagnostic.source_line = printable(std::move(diagnostic.source_line), true);
  kept_.push_back(std::move(diagnostic));
}

std::vector<Diagnostic> Diagnostics::take() {
  std::stable_sort(kept_.begin(), kept_.end(), [this](const Diagnostic& a, const Diagnostic& b) {
    return std::tuple(a.file != file_, std::string_view(a.file), a.at.line, a.at.column) <
           std::tuple(b.file != file_, std::string_view(b.file), b.at.line, b.at.column);
  });
  if (left_out_ != 0) {
    kept_.push_back({Severity::note, file_, {}, fmt::format("{} more are not shown", left_out_), {}, {}, 1});
  }
  errors_ = left_out_ = 0;
  return std::exchange(kept_, {});
}

}  // namespace patchbay::tools
