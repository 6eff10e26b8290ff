// What a benchmark found, as plain values; the outputs in this directory are made from it and nothing else.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/bench/frame_sizes.h"

namespace patchbay::tools::bench {

/// Where it ran.
struct HostFacts {
  std::string kernel;    // "Linux 6.1.0-18-amd64"
  std::string cpu;       // model name
  unsigned cpus = 0;     // that this process may use
  std::string patchbay;  // version
};

struct BenchEndpoint {
  std::string port;  // link end
  std::string mac, address, next_hop;
};

/// Maximum receive rate: frames per second received at full load, summed over the directions, one value per
/// round. The reference path is measured in the same round.
struct ReceiveRate {
  std::vector<double> rates;
  std::vector<double> reference_rates;
  std::vector<double> ratios;  // rates / reference_rates

  [[nodiscard]] double rate() const;
  [[nodiscard]] double reference_rate() const;
  [[nodiscard]] double ratio() const;
};

/// Latencies of the frames of one trial, of the slower direction. Nanoseconds.
struct LatencyFigures {
  double load_percent = 0;  // of the PDR; 0: single frames
  double rate = 0;          // frames per second in each direction
  std::uint64_t count = 0;
  double min = 0, mean = 0, median = 0, p90 = 0, p99 = 0, p999 = 0, max = 0;
  std::vector<std::pair<double, double>> curve;  // percentile, nanoseconds
  std::vector<std::string> histograms;           // by direction; HdrHistogram V2 compressed, base64
  [[nodiscard]] double variation() const noexcept { return p999 - min; }  // PDV as in ETSI TST 009
};

/// What a search for a rate with bounded loss found; frames per second, summed over the directions.
struct SearchFigures {
  std::string name;  // "NDR", "PDR"
  double loss_ratio = 0;
  std::optional<double> lower, upper;  // relevant bounds of RFC 9971; none: irregular result
  double throughput = 0;               // conditional throughput at the lower bound
  double ratio = 0;                    // of it to the reference rate
};

struct MixReport {
  FrameMix mix;
  ReceiveRate receive_rate;
  std::vector<SearchFigures> searches;
  std::vector<LatencyFigures> latencies;
  nlohmann::json trials = nlohmann::json::array();  // each with what was asked for and every count
};

struct Report {
  std::string lab, file, started;  // ISO 8601, UTC
  HostFacts host;
  std::vector<BenchEndpoint> ends;
  unsigned flows = 1;
  bool bidirectional = false;
  double trial_seconds = 1;
  std::vector<MixReport> mixes;
};

/// One figure of the report, as thresholds, comparisons and other tools' formats name it.
struct Figure {
  std::string name;  // "64 B MRR", "64 B latency p99 at 50 % PDR"
  std::string unit;  // "Mpps", "us", "ratio"
  double value = 0;
  double spread = 0;  // of repeated measurements, in units of `value`; 0: unknown
  bool bigger_is_better = true;
};
[[nodiscard]] std::vector<Figure> figures_of(const Report& report);

/// Patchbay's own format, with every trial.
[[nodiscard]] nlohmann::json to_json(const Report& report);

/// For people.
[[nodiscard]] std::string to_table(const Report& report);

}  // namespace patchbay::tools::bench
