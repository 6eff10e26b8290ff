// One trial: what is asked of the generators and what they counted.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/bench/frame_sizes.h"

namespace patchbay::tools::bench {

enum class PathUnderTest {
  lab,        // between the link ends, through whatever lies there
  reference,  // two generators on a wire of their own, on the same worker
};

struct TrialOrder {
  PathUnderTest path = PathUnderTest::lab;
  double rate = 0;  // frames per second in each direction; 0: as many as are taken
  std::chrono::milliseconds duration{1000};
  bool bidirectional = false;
  bool latency = false;
};

struct DirectionCounts {
  double seconds = 0;         // that the stream was sent for, pauses excluded
  double paused_seconds = 0;  // in which the machine did not run the generator
  std::uint64_t intended = 0, sent = 0, received = 0, duplicates = 0, reordered = 0, too_late = 0;
  nlohmann::json latency;  // of the engine; null without
};

struct TrialResult {
  std::vector<DirectionCounts> directions;
  nlohmann::json json;  // order and counts, for the report

  /// Frames per second received, summed over the directions.
  [[nodiscard]] double receive_rate() const noexcept;
  [[nodiscard]] double send_rate() const noexcept;
  /// Frames that did not arrive, of those intended: what could not even be sent counts as lost, so that no
  /// figure claims more than was proved (RFC 9971, trial loss ratio).
  [[nodiscard]] double loss_ratio() const noexcept;
};

/// Reads the engine's answer. Throws nlohmann::json::exception for anything else.
[[nodiscard]] TrialResult read_trial(const TrialOrder& order, const nlohmann::json& answer);

/// Those who can run trials: a lab's engine, a simulation in tests.
class TrialRunner {
 public:
  virtual ~TrialRunner() = default;
  /// Chooses the frames of the trials that follow. Throws if the path does not carry them.
  virtual void prepare(const FrameMix& mix) = 0;
  virtual TrialResult run(const TrialOrder& order) = 0;
};

}  // namespace patchbay::tools::bench
