#include "tools/lab/expand.h"

#include <fmt/format.h>

#include <cctype>

namespace patchbay::tools {
namespace {

bool is_variable_name(std::string_view name) {
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name.front())) != 0) return false;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_') return false;
  }
  return true;
}

void replace_all(std::string& text, std::string_view word, std::string_view with) {
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + with.size())) {
    text.replace(at, word.size(), with);
  }
}

}  // namespace

Parsed<std::string> expand_variables(std::string_view text, const VariableLookup& lookup) {
  std::string result;
  while (!text.empty()) {
    const std::size_t dollar = text.find('$');
    result += text.substr(0, dollar);
    if (dollar == std::string_view::npos) break;
    text.remove_prefix(dollar);
    if (text.substr(0, 3) == "$${") {
      result += "${";
      text.remove_prefix(3);
      continue;
    }
    if (text.substr(0, 2) != "${") {
      result += '$';
      text.remove_prefix(1);
      continue;
    }
    const std::size_t close = text.find('}');
    if (close == std::string_view::npos) {
      return Fault{fmt::format("'{}' is not closed", text.substr(0, 32)),
                   "write ${NAME} or, for the text itself, $${"};
    }
    const std::string_view inside = text.substr(2, close - 2);
    const std::size_t separator = inside.find(":-");
    const std::string name(inside.substr(0, separator));
    if (!is_variable_name(name)) {
      return Fault{fmt::format("'${{{}}}' does not name a variable", inside.substr(0, 32)),
                   "write ${NAME} or ${NAME:-default} or, for the text itself, $${"};
    }
    const std::optional<std::string> value = lookup(name);
    if (value && (!value->empty() || separator == std::string_view::npos)) {
      result += *value;
    } else if (separator != std::string_view::npos) {
      result += inside.substr(separator + 2);
    } else {
      return Fault{
          fmt::format("the environment variable {} is not set", name),
          fmt::format("set it, give a default with ${{{}:-default}} or, for the text itself, write $${{{}}}",
                      name, name)};
    }
    text.remove_prefix(close + 1);
  }
  return result;
}

std::string expand_magic_words(std::string_view text, std::string_view lab, std::string_view node) {
  std::string result(text);
  replace_all(result, "__clabLabName__", lab);
  replace_all(result, "__clabNodeName__", node);
  return result;
}

}  // namespace patchbay::tools
