#include "tools/bench/engine_runner.h"

namespace patchbay::tools::bench {

using control::Json;

namespace {
// On top of what a trial lasts: the machine may be slow, and the frames in flight are waited for.
constexpr std::chrono::milliseconds kPatience{60'000};
}  // namespace

EngineRunner::EngineRunner(control::Client client, const std::array<EndOptions, 2>& ends, unsigned flows)
    : flows_(flows) {
  Json named = Json::array();
  for (const EndOptions& end : ends) {
    Json one{{"port", end.port}};
    if (!end.address.empty()) one["address"] = end.address;
    if (!end.via.empty()) one["via"] = end.via;
    named.push_back(std::move(one));
  }
  Json result;
  session_.emplace(client.upgrade("bench", {{"ends", named}}, &result));
  for (const Json& end : result.at("ends")) {
    ends_.push_back({end.at("port").get<std::string>(), end.at("mac").get<std::string>(),
                     end.at("address").get<std::string>(), end.at("next_hop").get<std::string>()});
  }
}

void EngineRunner::prepare(const FrameMix& mix) {
  session_->call("prepare", {{"sizes", mix.sizes}, {"flows", flows_}}, kPatience);
}

TrialResult EngineRunner::run(const TrialOrder& order) {
  const Json answer = session_->call("trial",
                                     {{"path", order.path == PathUnderTest::lab ? "lab" : "reference"},
                                      {"rate", order.rate},
                                      {"milliseconds", order.duration.count()},
                                      {"bidirectional", order.bidirectional},
                                      {"latency", order.latency}},
                                     5 * order.duration + kPatience);
  return read_trial(order, answer);
}

}  // namespace patchbay::tools::bench
