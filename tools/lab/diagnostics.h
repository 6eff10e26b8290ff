// What is wrong with a file, told as a compiler tells it: file, line, column, cause, way out, and the line
// itself with a mark under the place. Plain data and text; reads no file and prints nothing.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace patchbay::tools {

/// A place in a text file. Lines and columns count from 1; columns in bytes. Line 0: the file as a whole.
struct Position {
  std::size_t line = 0;
  std::size_t column = 0;
  friend bool operator==(const Position&, const Position&) = default;
};

enum class Severity {
  error,    // the file cannot be used
  warning,  // it can, but probably does not mean what its author thinks
  note,     // something in it has no effect here
};

struct Diagnostic {
  Severity severity = Severity::error;
  std::string file;
  Position at;
  std::string message;           // what is wrong; control characters are replaced
  std::string hint;              // what would be right; may be empty
  std::string source_line;       // the line `at` points into; empty if there is none
  std::size_t marked_bytes = 1;  // how much of source_line from `at` on is meant; >= 1
};

/// "file:line:column: error: message; hint", then the source line and a caret with its line number in the
/// margin. No newline at the end. Columns are printed in characters (code points).
[[nodiscard]] std::string to_string(const Diagnostic& diagnostic);

/// Collects everything that is wrong with one file, up to a limit.
class Diagnostics {
 public:
  /// More errors than this are counted but not kept: nobody reads on, and hostile files have many.
  static constexpr std::size_t kMaxKept = 100;

  /// `file` is the name in messages; `text` is the file's content and must outlive this object.
  Diagnostics(std::string file, std::string_view text);

  void error(Position at, std::string message, std::string hint = {}, std::size_t marked_bytes = 1);
  void warning(Position at, std::string message, std::string hint = {}, std::size_t marked_bytes = 1);
  /// Only the first note with this `subject` is kept.
  void note_once(const std::string& subject, Position at, std::string message, std::string hint = {});
  /// Adds a diagnostic about another file, such as a node's configuration.
  void add(Diagnostic diagnostic);

  [[nodiscard]] bool has_errors() const noexcept { return errors_ != 0; }
  [[nodiscard]] const std::string& file() const noexcept { return file_; }
  /// The line with this number, without its line end; empty if there is none.
  [[nodiscard]] std::string_view source_line(std::size_t line) const;
  /// Everything collected, sorted by place, this file's first. Leaves the object empty.
  [[nodiscard]] std::vector<Diagnostic> take();

 private:
  void put(Severity severity, Position at, std::string message, std::string hint, std::size_t marked_bytes);

  std::string file_;
  std::string_view text_;
  std::vector<std::size_t> line_starts_;
  std::vector<Diagnostic> kept_;
  std::set<std::string> noted_;
  std::size_t errors_ = 0;
  std::size_t left_out_ = 0;
};

}  // namespace patchbay::tools
