// Typed reading of YAML values: each function returns the value or reports what is wrong where it stands.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/lab/diagnostics.h"
#include "tools/lab/expand.h"
#include "tools/lab/parsed.h"
#include "tools/lab/schema.h"
#include "tools/lab/yaml_tree.h"

namespace patchbay::tools {

/// A value and where the file gives it.
template <class T>
struct Located {
  T value{};
  Position at;
};

class Reader {
 public:
  /// Both must outlive the reader.
  Reader(Diagnostics& diagnostics, const VariableLookup& variable)
      : diagnostics_(diagnostics), variable_(variable) {}

  [[nodiscard]] Diagnostics& diagnostics() noexcept { return diagnostics_; }

  /// Reports an error at a value, all of which is marked.
  void error(const YamlNode& node, std::string message, std::string hint = {});

  /// True if `node` is a map all of whose keys are known; reports what is not. `what` names the map in
  /// messages: "a node". A map with an unknown key is still read (returns true).
  bool map(const YamlNode& node, std::string_view what, std::span<const Key> known);
  /// True if `node` is a map, whatever its keys.
  bool map(const YamlNode& node, std::string_view what);
  bool list(const YamlNode& node, std::string_view what);

  /// Text with its variables expanded; numbers are text too.
  [[nodiscard]] std::optional<std::string> text(const YamlNode& node, std::string_view what);
  [[nodiscard]] std::vector<Located<std::string>> text_list(const YamlNode& node, std::string_view what);
  [[nodiscard]] std::map<std::string, Located<std::string>> text_map(const YamlNode& node,
                                                                     std::string_view what);
  [[nodiscard]] std::optional<bool> boolean(const YamlNode& node, std::string_view what);

  /// Text that `parse` turns into a value: `value(node, "mtu", parse_mtu)`.
  template <class Parse>
  [[nodiscard]] auto value(const YamlNode& node, std::string_view what, Parse parse) {
    using Result = std::variant_alternative_t<0, decltype(parse(std::string_view()))>;
    const std::optional<std::string> source = text(node, what);
    if (!source) return std::optional<Result>();
    return accept(node, what, parse(*source));
  }

  /// A whole number.
  [[nodiscard]] std::optional<std::int64_t> integer(const YamlNode& node, std::string_view what,
                                                    std::int64_t low, std::int64_t high);

 private:
  template <class T>
  std::optional<T> accept(const YamlNode& node, std::string_view what, Parsed<T> parsed) {
    if (auto* fault = std::get_if<Fault>(&parsed)) {
      error(node, std::string(what) + ": " + fault->message, std::move(fault->hint));
      return std::nullopt;
    }
    return std::get<T>(std::move(parsed));
  }

  Diagnostics& diagnostics_;
  const VariableLookup& variable_;
};

/// Bytes that a scalar covers on its first line in the file, for marking it.
[[nodiscard]] std::size_t marked_bytes(const YamlNode& node);

}  // namespace patchbay::tools
