// What is wrong with a configuration: where, what, and what would be right.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "appliances/router/core/text.h"

namespace patchbay::router {

struct ConfigError {
  std::uint32_t line = 0;    // from 1
  std::uint32_t column = 0;  // from 1: where the offending word starts, or the end of a line that lacks one
  FixedText<64> word;        // the offending word; empty if one is missing
  FixedText<200> problem;    // "'10.0.1.300/24' is not an address with a prefix length"
  FixedText<300> remedy;     // "write A.B.C.D/M, such as 10.0.1.1/24"
};

/// Receives errors as they are found.
class ConfigErrorSink {
 public:
  virtual void report(const ConfigError& error) = 0;

 protected:
  ~ConfigErrorSink() = default;
};

}  // namespace patchbay::router
