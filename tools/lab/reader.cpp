#include "tools/lab/reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "tools/lab/quantity.h"
#include "tools/lab/suggest.h"

namespace patchbay::tools {

std::size_t marked_bytes(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::scalar) return 1;
  const std::size_t first_line = std::min(node.text.find('\n'), node.text.size());
  // Quotation marks belong to the value; a block's text starts on the next line and gets a plain caret.
  if (first_line != node.text.size()) return 1;
  return std::max<std::size_t>(1, first_line + (node.quoted ? 2 : 0));
}

void Reader::error(const YamlNode& node, std::string message, std::string hint) {
  diagnostics_.error(node.at, std::move(message), std::move(hint), marked_bytes(node));
}

bool Reader::map(const YamlNode& node, std::string_view what) {
  if (node.kind == YamlNode::Kind::map) return true;
  error(node, fmt::format("{} must be a map, this is {}", what, describe(node.kind)),
        "write keys with values: 'key: value'");
  return false;
}

bool Reader::map(const YamlNode& node, std::string_view what, std::span<const Key> known) {
  if (!map(node, what)) return false;
  for (const YamlEntry& entry : node.entries) {
    const auto key =
        std::find_if(known.begin(), known.end(), [&](const Key& k) { return k.name == entry.key; });
    if (key == known.end()) {
      std::vector<std::string_view> names;
      for (const Key& k : known) {
        if (k.no_effect.empty()) names.push_back(k.name);
      }
      diagnostics_.error(entry.at, fmt::format("unknown key '{}' in {}", entry.key, what),
                         suggestion(entry.key, names), std::max<std::size_t>(1, entry.key.size()));
    } else if (!key->no_effect.empty()) {
      diagnostics_.note_once(entry.key, entry.at, fmt::format("'{}' has no effect here", entry.key),
                             std::string(key->no_effect));
    }
  }
  return true;
}

bool Reader::list(const YamlNode& node, std::string_view what) {
  if (node.kind == YamlNode::Kind::sequence) return true;
  error(node, fmt::format("{} must be a list, this is {}", what, describe(node.kind)),
        "write [a, b] or one '- item' a line");
  return false;
}

std::optional<std::string> Reader::text(const YamlNode& node, std::string_view what) {
  if (node.kind != YamlNode::Kind::scalar) {
    error(node, fmt::format("{} must be text, this is {}", what, describe(node.kind)));
    return std::nullopt;
  }
  return accept(node, what, expand_variables(node.text, variable_));
}

std::vector<Located<std::string>> Reader::text_list(const YamlNode& node, std::string_view what) {
  std::vector<Located<std::string>> result;
  if (!list(node, what)) return result;
  for (const YamlNode& item : node.items) {
    if (auto value = text(item, fmt::format("an item of {}", what)))
      result.push_back({std::move(*value), item.at});
  }
  return result;
}

std::map<std::string, Located<std::string>> Reader::text_map(const YamlNode& node, std::string_view what) {
  std::map<std::string, Located<std::string>> result;
  if (!map(node, what)) return result;
  for (const YamlEntry& entry : node.entries) {
    if (entry.key.empty()) {
      diagnostics_.error(entry.at, fmt::format("a key in {} is empty", what), "give it a name");
    } else if (entry.value.kind == YamlNode::Kind::null) {
      result[entry.key] = {std::string(), entry.at};
    } else if (auto value = text(entry.value, fmt::format("'{}' in {}", entry.key, what))) {
      result[entry.key] = {std::move(*value), entry.value.at};
    }
  }
  return result;
}

std::optional<bool> Reader::boolean(const YamlNode& node, std::string_view what) {
  return value(node, what, [](std::string_view word) -> Parsed<bool> {
    if (word == "true" || word == "yes" || word == "on") return true;
    if (word == "false" || word == "no" || word == "off") return false;
    return Fault{fmt::format("'{}' is neither true nor false", word), "write true or false"};
  });
}

std::optional<std::int64_t> Reader::integer(const YamlNode& node, std::string_view what, std::int64_t low,
                                            std::int64_t high) {
  return value(node, what, [low, high](std::string_view word) { return parse_integer(word, low, high); });
}

}  // namespace patchbay::tools
