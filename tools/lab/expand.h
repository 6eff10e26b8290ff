// Variables in lab files: `${VAR}` and `${VAR:-default}` from the environment, and containerlab's magic words
// `__clabLabName__` and `__clabNodeName__`.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "tools/lab/parsed.h"

namespace patchbay::tools {

/// The value of an environment variable, or nothing if it is not set.
using VariableLookup = std::function<std::optional<std::string>(const std::string& name)>;

/// Replaces `${NAME}` and `${NAME:-default}` (the default also where the variable is empty, as in shells).
/// `$${` stands for a literal `${`. Every other `$` is kept. An unset variable without a default is a fault.
[[nodiscard]] Parsed<std::string> expand_variables(std::string_view text, const VariableLookup& lookup);

/// Replaces the magic words.
[[nodiscard]] std::string expand_magic_words(std::string_view text, std::string_view lab,
                                             std::string_view node);

}  // namespace patchbay::tools
