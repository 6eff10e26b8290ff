// "Did you mean ...?": the known word nearest to an unknown one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace patchbay::tools {

/// Edits (insert, delete, replace, swap neighbours) that turn `a` into `b`, ignoring letter case and the
/// difference between '-' and '_'.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word`, the first of equally near ones; empty if none is near enough to be meant.
[[nodiscard]] std::string_view nearest(std::string_view word,
                                       const std::vector<std::string_view>& candidates);

/// "did you mean 'kind'?" if a candidate is near, otherwise "known are: a, b, c".
[[nodiscard]] std::string suggestion(std::string_view word, const std::vector<std::string_view>& candidates);

}  // namespace patchbay::tools
