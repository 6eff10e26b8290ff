// Trials in a running lab, by its engine's `bench` verb.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "tools/bench/report.h"
#include "tools/bench/trial.h"
#include "tools/control/client.h"

namespace patchbay::tools::bench {

struct EndOptions {
  std::string port;     // link end
  std::string address;  // with prefix length; empty: the lab file's
  std::string via;      // next hop; empty: the engine finds out
};

class EngineRunner final : public TrialRunner {
 public:
  /// Takes the link ends over until this object is gone. Throws control::RequestError if the engine refuses.
  EngineRunner(control::Client client, const std::array<EndOptions, 2>& ends, unsigned flows);

  [[nodiscard]] const std::vector<BenchEndpoint>& ends() const noexcept { return ends_; }

  void prepare(const FrameMix& mix) override;
  TrialResult run(const TrialOrder& order) override;

 private:
  std::vector<BenchEndpoint> ends_;
  unsigned flows_;
  std::optional<control::Client> session_;
};

}  // namespace patchbay::tools::bench
