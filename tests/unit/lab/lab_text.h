// Lab files as strings in tests: reading them, and what is wrong with them first.
#pragma once

#include <algorithm>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "tools/lab/load.h"

namespace patchbay::tools::test {

/// A host without variables and without files.
inline LoadResult parse_alone(const std::string& text) {
  const Surroundings nothing{[](std::string_view) { return std::nullopt; },
                             [](const std::filesystem::path&) -> std::string {
                               throw std::runtime_error("No such file or directory");
                             }};
  return parse_lab(text, "/labs/lab.clab.yml", nothing);
}

/// "line:column: message", or nothing.
inline std::string first_error(const LoadResult& result) {
  const auto found = std::find_if(result.diagnostics.begin(), result.diagnostics.end(),
                                  [](const Diagnostic& d) { return d.severity == Severity::error; });
  if (found == result.diagnostics.end()) return "";
  return std::to_string(found->at.line) + ":" + std::to_string(found->at.column) + ": " + found->message;
}

}  // namespace patchbay::tools::test
