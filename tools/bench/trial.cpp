#include "tools/bench/trial.h"

#include <algorithm>

namespace patchbay::tools::bench {

double TrialResult::receive_rate() const noexcept {
  double rate = 0;
  for (const DirectionCounts& one : directions)
    rate += one.seconds > 0 ? static_cast<double>(one.received) / one.seconds : 0;
  return rate;
}

double TrialResult::send_rate() const noexcept {
  double rate = 0;
  for (const DirectionCounts& one : directions)
    rate += one.seconds > 0 ? static_cast<double>(one.sent) / one.seconds : 0;
  return rate;
}

double TrialResult::loss_ratio() const noexcept {
  std::uint64_t intended = 0, received = 0;
  for (const DirectionCounts& one : directions) {
    intended += one.intended;
    received += std::min(one.received, one.intended);
  }
  return intended == 0 ? 0 : static_cast<double>(intended - received) / static_cast<double>(intended);
}

TrialResult read_trial(const TrialOrder& order, const nlohmann::json& answer) {
  TrialResult result;
  for (const auto& entry : answer.at("directions")) {
    DirectionCounts one;
    one.seconds = entry.at("seconds").get<double>();
    one.paused_seconds = entry.at("paused_seconds").get<double>();
    one.intended = entry.at("intended").get<std::uint64_t>();
    one.sent = entry.at("sent").get<std::uint64_t>();
    one.received = entry.at("received").get<std::uint64_t>();
    one.duplicates = entry.at("duplicates").get<std::uint64_t>();
    one.reordered = entry.at("reordered").get<std::uint64_t>();
    one.too_late = entry.at("too_late").get<std::uint64_t>();
    if (entry.contains("latency")) one.latency = entry.at("latency");
    result.directions.push_back(std::move(one));
  }
  result.json = answer;
  result.json["asked_milliseconds"] = order.duration.count();
  return result;
}

}  // namespace patchbay::tools::bench
