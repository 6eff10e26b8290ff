// The result of reading one value from text: the value, or what is wrong with the text and what would be
// right.
#pragma once

#include <string>
#include <variant>

namespace patchbay::tools {

struct Fault {
  std::string message;  // what is wrong
  std::string hint;     // what would be right; may be empty
};

template <class T>
using Parsed = std::variant<T, Fault>;

}  // namespace patchbay::tools
