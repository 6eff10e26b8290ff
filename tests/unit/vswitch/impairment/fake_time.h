// A clock that a test moves.
#pragma once

#include "vswitch/impairment/time_source.h"

namespace patchbay::vswitch::test {

class FakeTime final : public TimeSource {
 public:
  std::chrono::nanoseconds value = std::chrono::seconds(1);
  [[nodiscard]] std::chrono::nanoseconds now() const noexcept override { return value; }
};

}  // namespace patchbay::vswitch::test
