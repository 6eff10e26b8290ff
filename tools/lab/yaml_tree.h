// YAML as a tree in which every value knows its place in the file.
//
// Reads one document of untrusted text: UTF-8 without control characters, at most kMaxFileBytes, nested at
// most kMaxDepth deep, with aliases expanded to at most kMaxValues values. Duplicate keys are errors. Merge
// keys (`<<`) are resolved.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/lab/diagnostics.h"

namespace patchbay::tools {

inline constexpr std::size_t kMaxFileBytes = std::size_t{1} << 20U;
inline constexpr std::size_t kMaxDepth = 32;
inline constexpr std::size_t kMaxValues = 200000;

struct YamlEntry;

struct YamlNode {
  enum class Kind { null, scalar, sequence, map };

  Kind kind = Kind::null;
  Position at;                     // where the value starts (the quotation mark of a quoted one)
  std::string text;                // of a scalar
  bool quoted = false;             // written in quotes or as a block: a string even if it looks like a number
  std::vector<YamlNode> items;     // of a sequence
  std::vector<YamlEntry> entries;  // of a map, in the file's order, each key once

  /// The value of a key of a map, or nullptr.
  [[nodiscard]] const YamlNode* find(std::string_view key) const;
};

struct YamlEntry {
  std::string key;
  Position at;
  YamlNode value;
};

/// "a map", "a list", "text" or "nothing", for messages.
[[nodiscard]] std::string_view describe(YamlNode::Kind kind);

/// Reads `text`, which `diagnostics` was made for. Returns nothing if it is not readable as YAML; a tree that
/// was read may still have caused errors (duplicate keys).
[[nodiscard]] std::optional<YamlNode> read_yaml(std::string_view text, Diagnostics& diagnostics);

}  // namespace patchbay::tools
