// Whether bytes from a file are text at all: UTF-8 (RFC 3629) without control characters.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tools/lab/diagnostics.h"

namespace patchbay::tools {

struct UnreadableText {
  Position at;
  std::string message;
  std::string hint;
};

/// The first byte that makes `text` unreadable, or nothing. Tab, line feed and carriage return are text.
[[nodiscard]] std::optional<UnreadableText> find_unreadable(std::string_view text);

}  // namespace patchbay::tools
