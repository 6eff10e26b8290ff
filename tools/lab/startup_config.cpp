#include "tools/lab/startup_config.h"

#include <fmt/format.h>

#include <cstddef>
#include <exception>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/lab/boot_config.h"
#include "tools/lab/router_syntax.h"
#include "tools/lab/text_check.h"

namespace patchbay::tools {
namespace {

bool is_inline(std::string_view setting) {
  return setting.find('\n') != std::string_view::npos;
}

std::string_view line_of(std::string_view text, std::size_t line) {
  for (; line > 1; --line) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  std::string_view content = text.substr(0, text.find('\n'));
  if (!content.empty() && content.back() == '\r') content.remove_suffix(1);
  return content;
}

// Where a place in configuration text that stands in the lab file is in the lab file: a literal block's lines
// follow its `|`, indented. Text written in another way (quoted, folded) has no lines of its own: its start,
// then.
Position place_in_lab_file(const StartupConfig& config, Position at, const Diagnostics& diagnostics) {
  const Position in_file{config.first_line + at.line, at.column};
  const std::string_view expected = line_of(config.text, at.line);
  const std::string_view actual = diagnostics.source_line(in_file.line);
  const std::size_t indent = actual.size() - std::min(actual.size(), expected.size());
  if (actual.substr(indent) != expected || actual.find_first_not_of(' ') < indent)
    return {config.first_line, 1};
  return {in_file.line, in_file.column + indent};
}

}  // namespace

std::optional<StartupConfig> read_startup_config(const Located<std::string>& setting,
                                                 const std::filesystem::path& lab_file,
                                                 const Surroundings& surroundings, Diagnostics& diagnostics) {
  if (is_inline(setting.value)) return StartupConfig{diagnostics.file(), setting.value, setting.at.line};
  if (setting.value.empty()) {
    diagnostics.error(setting.at, "startup-config is empty", "name a file, or leave the key out");
    return std::nullopt;
  }
  if (setting.value.find("://") != std::string::npos) {
    diagnostics.error(setting.at, fmt::format("startup-config '{}' is a URL", setting.value),
                      "download the file and name its path", setting.value.size());
    return std::nullopt;
  }
  const std::filesystem::path path = (lab_file.parent_path() / setting.value).lexically_normal();
  StartupConfig config{path.string(), {}, 0};
  try {
    config.text = surroundings.read_file(path);
  } catch (const std::exception& error) {
    diagnostics.error(setting.at,
                      fmt::format("startup-config '{}' cannot be read: {}", setting.value, error.what()),
                      fmt::format("paths start from the lab file's directory; looked for {}", path.string()),
                      setting.value.size());
    return std::nullopt;
  }
  if (const auto fault = find_unreadable(config.text)) {
    diagnostics.add({Severity::error, config.name, fault->at, fault->message, fault->hint, {}, 1});
    return std::nullopt;
  }
  return config;
}

void check_router_config(const Node& router, Diagnostics& diagnostics) {
  const std::string complete = router_boot_config(router);
  const std::size_t own_bytes = router.startup_config ? router.startup_config->text.size() : 0;
  std::size_t generated_lines = 0;
  for (const char c : std::string_view(complete).substr(0, complete.size() - own_bytes))
    generated_lines += c == '\n' ? 1 : 0;

  for (const RouterSyntaxError& error : find_router_syntax_errors(router, complete)) {
    if (error.at.line <= generated_lines || !router.startup_config) {
      // One of the lines made from the links' addresses: the router knows no such address.
      diagnostics.error(router.at,
                        fmt::format("router '{}' cannot have an address that its links give it: {}",
                                    router.name, error.message),
                        error.hint);
      continue;
    }
    const StartupConfig& config = *router.startup_config;
    const Position at{error.at.line - generated_lines, error.at.column};
    if (config.first_line != 0) {
      diagnostics.error(place_in_lab_file(config, at, diagnostics), error.message, error.hint,
                        error.marked_bytes);
    } else {
      diagnostics.add({Severity::error, config.name, at, error.message, error.hint,
                       std::string(line_of(config.text, at.line)), error.marked_bytes});
    }
  }
}

}  // namespace patchbay::tools
