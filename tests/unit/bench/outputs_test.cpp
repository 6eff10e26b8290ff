#include "tools/bench/outputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace patchbay::tools::bench {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

Report sample() {
  Report report;
  report.lab = "two & two";
  report.started = "2026-01-01T00:00:00Z";
  report.host = {"Linux 6.1", "A CPU", 2, "0.1"};
  report.ends = {{"h1:eth1", "02:00:00:00:00:01", "10.0.1.2", "10.0.1.1"},
                 {"h2:eth1", "02:00:00:00:00:02", "10.0.2.2", "10.0.2.1"}};
  MixReport mix;
  mix.mix = {"64", {64}};
  mix.receive_rate = {{1e6, 3e6, 2e6}, {20e6, 20e6, 20e6}, {0.05, 0.15, 0.10}};
  mix.searches = {{"NDR", 0, 1.5e6, 1.6e6, 1.5e6, 0.075}, {"PDR", 0.005, {}, 1e3, 0, 0}};
  LatencyFigures latency;
  latency.load_percent = 50;
  latency.count = 1000;
  latency.min = 5000;
  latency.median = 10'000;
  latency.p99 = 50'000;
  latency.p999 = 100'000;
  latency.curve = {{0, 5000}, {50, 10'000}, {99, 50'000}, {100, 200'000}};
  mix.latencies = {latency};
  report.mixes = {mix};
  return report;
}

const Figure* find(const std::vector<Figure>& figures, const std::string& name) {
  for (const Figure& figure : figures) {
    if (figure.name == name) return &figure;
  }
  return nullptr;
}

TEST(FiguresTest, AreMediansAndLeaveOutWhatWasNotFound) {
  const auto figures = figures_of(sample());
  ASSERT_TRUE(find(figures, "64 B MRR"));
  EXPECT_DOUBLE_EQ(find(figures, "64 B MRR")->value, 2);
  EXPECT_DOUBLE_EQ(find(figures, "64 B MRR ratio")->value, 0.10);
  EXPECT_DOUBLE_EQ(find(figures, "64 B NDR")->value, 1.5);
  EXPECT_EQ(find(figures, "64 B PDR"), nullptr) << "irregular";
  EXPECT_DOUBLE_EQ(find(figures, "64 B latency at 50 % PDR variation")->value, 95);
}

TEST(OutputsTest, ActionBenchmarkInTwoKinds) {
  const auto bigger = to_action_benchmark(sample(), true);
  const auto smaller = to_action_benchmark(sample(), false);
  EXPECT_EQ(bigger.size() + smaller.size(), figures_of(sample()).size());
  EXPECT_EQ(bigger[0].at("name"), "64 B MRR");
  EXPECT_EQ(bigger[0].at("unit"), "Mpps");
  EXPECT_TRUE(bigger[0].at("value").is_number());
  EXPECT_TRUE(bigger[0].at("range").is_string());
  EXPECT_EQ(smaller[0].at("unit"), "us");
}

TEST(OutputsTest, Bencher) {
  const auto metrics = to_bencher(sample());
  EXPECT_DOUBLE_EQ(metrics.at("two & two 64 B MRR").at("Mpps").at("value").get<double>(), 2);
  EXPECT_LT(metrics.at("two & two 64 B MRR").at("Mpps").at("lower_value").get<double>(), 2);
}

TEST(OutputsTest, JUnitHasACaseAVerdictAndEscapes) {
  const std::string xml = to_junit(sample(), {{"a >= 1", true, "2"}, {"b <= 1", false, "3 < 4"}});
  EXPECT_THAT(xml, HasSubstr("tests=\"2\" failures=\"1\""));
  EXPECT_THAT(xml, HasSubstr("two &amp; two"));
  EXPECT_THAT(xml, HasSubstr("<failure message=\"3 &lt; 4\">"));
}

TEST(OutputsTest, Plots) {
  EXPECT_THAT(throughput_svg(sample()), HasSubstr("NDR 1.500 Mpps"));
  EXPECT_THAT(latency_svg(sample()), HasSubstr("64 B, 50 % of PDR"));
  Report quick = sample();
  quick.mixes[0].latencies.clear();
  EXPECT_THAT(latency_svg(quick), IsEmpty());
}

TEST(OutputsTest, TableHasEveryFigure) {
  const std::string table = to_table(sample());
  EXPECT_THAT(table, HasSubstr("h1:eth1 -> h2:eth1"));
  EXPECT_THAT(table, HasSubstr("NDR"));
  EXPECT_THAT(table, HasSubstr("none"));
  EXPECT_THAT(table, HasSubstr("50%PDR"));
}

Requirement requirement(std::string_view text) {
  const auto result = parse_requirement(text);
  if (const auto* fault = std::get_if<InputFault>(&result)) {
    ADD_FAILURE() << fault->message;
    return {};
  }
  return std::get<Requirement>(result);
}

TEST(VerdictTest, Requirements) {
  EXPECT_TRUE(judge(requirement("64 B MRR >= 2"), sample()).passed);
  EXPECT_FALSE(judge(requirement("64 B MRR>=2.01"), sample()).passed);
  EXPECT_TRUE(judge(requirement("64 B latency at 50 % PDR p99 <= 50"), sample()).passed);
  const Verdict unknown = judge(requirement("65 B MRR >= 2"), sample());
  EXPECT_FALSE(unknown.passed);
  EXPECT_THAT(unknown.explanation, HasSubstr("64 B MRR ratio"));
  for (const char* wrong : {"", "64 B MRR", "64 B MRR >= x", ">= 2", "64 B MRR > 2"})
    EXPECT_TRUE(std::holds_alternative<InputFault>(parse_requirement(wrong))) << wrong;
}

TEST(VerdictTest, Shares) {
  EXPECT_DOUBLE_EQ(std::get<double>(parse_share("5%")), 0.05);
  EXPECT_DOUBLE_EQ(std::get<double>(parse_share("0.05")), 0.05);
  for (const char* wrong : {"", "5", "-1%", "x", "101%", "%"})
    EXPECT_TRUE(std::holds_alternative<InputFault>(parse_share(wrong))) << wrong;
}

TEST(VerdictTest, ComparesRatiosOnly) {
  Report before = sample();
  const auto baseline = read_figures(to_json(before));
  ASSERT_TRUE(std::holds_alternative<std::vector<Figure>>(baseline));
  const auto& figures = std::get<std::vector<Figure>>(baseline);
  const auto passed = [](const std::vector<Verdict>& verdicts) {
    return std::all_of(verdicts.begin(), verdicts.end(), [](const Verdict& v) { return v.passed; });
  };
  EXPECT_EQ(compare(sample(), figures, 0.05).size(), 2u) << "MRR ratio and NDR ratio";
  EXPECT_TRUE(passed(compare(sample(), figures, 0.0)));

  Report slower = sample();
  slower.mixes[0].receive_rate.rates = {0.5e6};  // the whole machine is slower
  EXPECT_TRUE(passed(compare(slower, figures, 0.05)));
  slower.mixes[0].receive_rate.ratios = {0.096};
  EXPECT_TRUE(passed(compare(slower, figures, 0.05)));
  slower.mixes[0].receive_rate.ratios = {0.094};
  EXPECT_FALSE(passed(compare(slower, figures, 0.05)));

  Report other = sample();
  other.mixes[0].mix.name = "128";
  EXPECT_FALSE(passed(compare(other, figures, 0.05))) << "nothing in common";
}

TEST(VerdictTest, RefusesOtherFiles) {
  for (const char* text : {"[]", "{}", "null", R"({"format":"patchbay-bench","version":2,"figures":[]})",
                           R"({"format":"patchbay-bench","version":1,"figures":[{"name":1}]})"})
    EXPECT_TRUE(std::holds_alternative<InputFault>(read_figures(nlohmann::json::parse(text)))) << text;
}

}  // namespace
}  // namespace patchbay::tools::bench
