#include "tools/bench/report.h"

#include <fmt/format.h>

#include "tools/bench/statistics.h"

namespace patchbay::tools::bench {

using Json = nlohmann::json;

namespace {

Json to_json(const ReceiveRate& rate) {
  return {{"frames_per_second", rate.rate()},
          {"reference_frames_per_second", rate.reference_rate()},
          {"ratio", rate.ratio()},
          {"rounds",
           {{"frames_per_second", rate.rates},
            {"reference_frames_per_second", rate.reference_rates},
            {"ratio", rate.ratios}}}};
}

Json to_json(const SearchFigures& search) {
  Json json{{"name", search.name},
            {"loss_ratio", search.loss_ratio},
            {"regular", search.lower.has_value()},
            {"conditional_throughput", search.throughput},
            {"ratio", search.ratio}};
  if (search.lower) json["relevant_lower_bound"] = *search.lower;
  if (search.upper) json["relevant_upper_bound"] = *search.upper;
  return json;
}

Json to_json(const LatencyFigures& latency) {
  return {{"load_percent_of_pdr", latency.load_percent},
          {"frames_per_second_each_way", latency.rate},
          {"count", latency.count},
          {"min_ns", latency.min},
          {"mean_ns", latency.mean},
          {"median_ns", latency.median},
          {"p90_ns", latency.p90},
          {"p99_ns", latency.p99},
          {"p99.9_ns", latency.p999},
          {"max_ns", latency.max},
          {"variation_ns", latency.variation()},
          {"hdr_v2", latency.histograms}};
}

/// Bits per second on a line: preamble, start delimiter and gap are 20 bytes a frame.
double line_rate(double frames_per_second, const FrameMix& mix) {
  return frames_per_second * (mix.mean_size() + 20) * 8;
}

}  // namespace

double ReceiveRate::rate() const {
  return median(rates);
}
double ReceiveRate::reference_rate() const {
  return median(reference_rates);
}
double ReceiveRate::ratio() const {
  return median(ratios);
}

std::vector<Figure> figures_of(const Report& report) {
  std::vector<Figure> figures;
  for (const MixReport& mix : report.mixes) {
    const std::string name = mix.mix.name + " B";
    const ReceiveRate& mrr = mix.receive_rate;
    if (!mrr.rates.empty()) {
      figures.push_back(
          {name + " MRR", "Mpps", mrr.rate() / 1e6, relative_spread(mrr.rates) * mrr.rate() / 1e6, true});
      figures.push_back(
          {name + " MRR ratio", "ratio", mrr.ratio(), relative_spread(mrr.ratios) * mrr.ratio(), true});
    }
    for (const SearchFigures& search : mix.searches) {
      if (!search.lower) continue;
      const double width = search.upper ? *search.upper - *search.lower : 0;
      figures.push_back({name + " " + search.name, "Mpps", search.throughput / 1e6, width / 1e6, true});
      figures.push_back({name + " " + search.name + " ratio", "ratio", search.ratio, 0, true});
    }
    for (const LatencyFigures& latency : mix.latencies) {
      if (latency.count == 0) continue;
      const std::string at = fmt::format("{} latency at {:g} % PDR ", name, latency.load_percent);
      figures.push_back({at + "median", "us", latency.median / 1e3, 0, false});
      figures.push_back({at + "p99", "us", latency.p99 / 1e3, 0, false});
      figures.push_back({at + "p99.9", "us", latency.p999 / 1e3, 0, false});
      figures.push_back({at + "variation", "us", latency.variation() / 1e3, 0, false});
    }
  }
  return figures;
}

Json to_json(const Report& report) {
  Json ends = Json::array();
  for (const BenchEndpoint& end : report.ends) {
    ends.push_back(
        {{"port", end.port}, {"mac", end.mac}, {"address", end.address}, {"next_hop", end.next_hop}});
  }
  Json mixes = Json::array();
  for (const MixReport& mix : report.mixes) {
    Json searches = Json::array(), latencies = Json::array();
    for (const SearchFigures& search : mix.searches)
      searches.push_back(to_json(search));
    for (const LatencyFigures& latency : mix.latencies)
      latencies.push_back(to_json(latency));
    mixes.push_back({{"name", mix.mix.name},
                     {"frame_sizes", mix.mix.sizes},
                     {"mrr", to_json(mix.receive_rate)},
                     {"searches", searches},
                     {"latencies", latencies},
                     {"trials", mix.trials}});
  }
  Json figures = Json::array();
  for (const Figure& figure : figures_of(report)) {
    figures.push_back({{"name", figure.name},
                       {"unit", figure.unit},
                       {"value", figure.value},
                       {"spread", figure.spread},
                       {"bigger_is_better", figure.bigger_is_better}});
  }
  return {{"format", "patchbay-bench"},
          {"version", 1},
          {"lab", report.lab},
          {"file", report.file},
          {"started", report.started},
          {"host",
           {{"kernel", report.host.kernel},
            {"cpu", report.host.cpu},
            {"cpus", report.host.cpus},
            {"patchbay", report.host.patchbay}}},
          {"ends", ends},
          {"flows", report.flows},
          {"bidirectional", report.bidirectional},
          {"trial_seconds", report.trial_seconds},
          {"results", mixes},
          {"figures", figures}};
}

std::string to_table(const Report& report) {
  std::string text =
      fmt::format("{} {} {}, {} flow{}; frame sizes with FCS, rates in Mpps{}\n", report.ends.at(0).port,
                  report.bidirectional ? "<->" : "->", report.ends.at(1).port, report.flows,
                  report.flows == 1 ? "" : "s", report.bidirectional ? " of both directions together" : "");
  const bool searched = !report.mixes.empty() && !report.mixes.front().searches.empty();
  text += fmt::format("{:>10} {:>9} {:>9} {:>9} {:>7}", "size", "MRR", "Gbit/s", "of ref.", "+-");
  if (searched) {
    for (const SearchFigures& search : report.mixes.front().searches)
      text += fmt::format(" {:>9} {:>9}", search.name, "of ref.");
  }
  text += '\n';
  for (const MixReport& mix : report.mixes) {
    const ReceiveRate& mrr = mix.receive_rate;
    text += fmt::format("{:>10} {:>9.3f} {:>9.3f} {:>9.3f} {:>6.1f}%", mix.mix.name, mrr.rate() / 1e6,
                        line_rate(mrr.rate(), mix.mix) / 1e9, mrr.ratio(), 100 * relative_spread(mrr.ratios));
    for (const SearchFigures& search : mix.searches) {
      if (search.lower) {
        text += fmt::format(" {:>9.3f} {:>9.3f}", search.throughput / 1e6, search.ratio);
      } else {
        text += fmt::format(" {:>9} {:>9}", "none", "-");
      }
    }
    text += '\n';
  }
  bool heading = true;
  for (const MixReport& mix : report.mixes) {
    for (const LatencyFigures& latency : mix.latencies) {
      if (std::exchange(heading, false)) {
        text += fmt::format("\n{:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}   latency in us\n", "size",
                            "load", "min", "median", "p99", "p99.9", "max", "p99.9-min");
      }
      text +=
          fmt::format("{:>10} {:>5.0f}%PDR {:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f}\n",
                      mix.mix.name, latency.load_percent, latency.min / 1e3, latency.median / 1e3,
                      latency.p99 / 1e3, latency.p999 / 1e3, latency.max / 1e3, latency.variation() / 1e3);
    }
  }
  return text;
}

}  // namespace patchbay::tools::bench
