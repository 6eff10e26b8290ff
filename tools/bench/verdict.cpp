#include "tools/bench/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace patchbay::tools::bench {

namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ')
    text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ')
    text.remove_suffix(1);
  return text;
}

std::optional<double> decimal(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

const Figure* find(const std::vector<Figure>& figures, const std::string& name) {
  const auto found =
      std::find_if(figures.begin(), figures.end(), [&](const Figure& f) { return f.name == name; });
  return found == figures.end() ? nullptr : &*found;
}

std::string names_of(const std::vector<Figure>& figures) {
  std::string names;
  for (const Figure& figure : figures)
    names += (names.empty() ? "" : ", ") + figure.name;
  return names;
}

}  // namespace

std::variant<Requirement, InputFault> parse_requirement(std::string_view text) {
  for (const bool at_least : {true, false}) {
    const std::size_t sign = text.find(at_least ? ">=" : "<=");
    if (sign == std::string_view::npos) continue;
    const std::string_view name = trim(text.substr(0, sign));
    const auto value = decimal(trim(text.substr(sign + 2)));
    if (name.empty() || !value) break;
    return Requirement{std::string(name), at_least, *value};
  }
  return InputFault{
      fmt::format("'{}' is no requirement; right is FIGURE >= NUMBER or FIGURE <= NUMBER, such as '64 B MRR "
                  "ratio >= 0.05'",
                  text)};
}

std::variant<double, InputFault> parse_share(std::string_view text) {
  const bool percent = text.ends_with('%');
  const auto value = decimal(percent ? text.substr(0, text.size() - 1) : text);
  const double share = value.value_or(-1) / (percent ? 100 : 1);
  if (share < 0 || share > 1)
    return InputFault{fmt::format("'{}' is no share; right is a percentage such as 5%", text)};
  return share;
}

Verdict judge(const Requirement& requirement, const Report& report) {
  Verdict verdict{
      fmt::format("{} {} {:g}", requirement.figure, requirement.at_least ? ">=" : "<=", requirement.value),
      false,
      {}};
  const std::vector<Figure> figures = figures_of(report);
  const Figure* const figure = find(figures, requirement.figure);
  if (figure == nullptr) {
    verdict.explanation = "was not measured; figures of this run: " + names_of(figures);
    return verdict;
  }
  verdict.passed =
      requirement.at_least ? figure->value >= requirement.value : figure->value <= requirement.value;
  verdict.explanation = fmt::format("{:.4g} {}", figure->value, figure->unit);
  return verdict;
}

std::variant<std::vector<Figure>, InputFault> read_figures(const nlohmann::json& report) {
  try {
    if (report.at("format") != "patchbay-bench" || report.at("version") != 1)
      return InputFault{"not a report of `patchbay bench` of this version; write one with --json"};
    std::vector<Figure> figures;
    for (const auto& entry : report.at("figures")) {
      figures.push_back({entry.at("name").get<std::string>(), entry.at("unit").get<std::string>(),
                         entry.at("value").get<double>(), entry.at("spread").get<double>(),
                         entry.at("bigger_is_better").get<bool>()});
    }
    return figures;
  } catch (const nlohmann::json::exception& error) {
    return InputFault{fmt::format("not a report of `patchbay bench`: {}", error.what())};
  }
}

std::vector<Verdict> compare(const Report& report, const std::vector<Figure>& baseline,
                             double max_regression) {
  std::vector<Verdict> verdicts;
  for (const Figure& now : figures_of(report)) {
    if (now.unit != "ratio") continue;
    const Figure* const before = find(baseline, now.name);
    if (before == nullptr || before->value <= 0) continue;
    const double change = now.value / before->value - 1;
    verdicts.push_back(
        {fmt::format("{} not more than {:g} % below the baseline", now.name, 100 * max_regression),
         change >= -max_regression,
         fmt::format("{:.4g}, baseline {:.4g}, {:+.1f} %", now.value, before->value, 100 * change)});
  }
  if (verdicts.empty()) {
    verdicts.push_back({"the baseline has figures of this run", false,
                        "none in common; the baseline has: " + names_of(baseline)});
  }
  return verdicts;
}

}  // namespace patchbay::tools::bench
