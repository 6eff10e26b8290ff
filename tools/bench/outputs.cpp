#include "tools/bench/outputs.h"

#include <fmt/format.h>

#include <algorithm>

namespace patchbay::tools::bench {

using Json = nlohmann::json;

namespace {

std::string escape(const std::string& text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

}  // namespace

Json to_action_benchmark(const Report& report, bool bigger_is_better) {
  Json entries = Json::array();
  for (const Figure& figure : figures_of(report)) {
    if (figure.bigger_is_better != bigger_is_better) continue;
    Json entry{{"name", figure.name}, {"unit", figure.unit}, {"value", figure.value}};
    if (figure.spread > 0) entry["range"] = fmt::format("± {:.3g}", figure.spread);
    entry["extra"] =
        fmt::format("{} {} -> {}\n{}, {}, {} CPUs", report.lab, report.ends.at(0).port,
                    report.ends.at(1).port, report.host.kernel, report.host.cpu, report.host.cpus);
    entries.push_back(std::move(entry));
  }
  return entries;
}

Json to_bencher(const Report& report) {
  Json benchmarks = Json::object();
  for (const Figure& figure : figures_of(report)) {
    Json metric{{"value", figure.value}};
    if (figure.spread > 0) {
      metric["lower_value"] = figure.value - figure.spread;
      metric["upper_value"] = figure.value + figure.spread;
    }
    benchmarks[report.lab + " " + figure.name] = {{figure.unit, std::move(metric)}};
  }
  return benchmarks;
}

std::string to_junit(const Report& report, const std::vector<Verdict>& verdicts) {
  const auto failures =
      std::count_if(verdicts.begin(), verdicts.end(), [](const Verdict& v) { return !v.passed; });
  std::string xml = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<testsuites>\n<testsuite name=\"patchbay bench {}\" tests=\"{}\" failures=\"{}\" timestamp=\"{}\">\n",
      escape(report.lab), verdicts.size(), failures, escape(report.started));
  for (const Verdict& verdict : verdicts) {
    xml += fmt::format("<testcase classname=\"{}\" name=\"{}\">", escape(report.lab), escape(verdict.name));
    xml += verdict.passed
               ? fmt::format("<system-out>{}</system-out>", escape(verdict.explanation))
               : fmt::format("<failure message=\"{0}\">{0}</failure>", escape(verdict.explanation));
    xml += "</testcase>\n";
  }
  return xml + "</testsuite>\n</testsuites>\n";
}

}  // namespace patchbay::tools::bench
