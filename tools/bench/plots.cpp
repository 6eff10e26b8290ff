// The plots: SVG written directly, readable on light and dark pages.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "tools/bench/outputs.h"

namespace patchbay::tools::bench {

namespace {

constexpr double kWidth = 760, kHeight = 380;
constexpr double kLeft = 70, kRight = 190, kTop = 46, kBottom = 50;
constexpr double kPlotWidth = kWidth - kLeft - kRight, kPlotHeight = kHeight - kTop - kBottom;
// Distinguishable by people who do not see all colours (Okabe and Ito).
constexpr std::array<const char*, 7> kColours{"#0072b2", "#e69f00", "#009e73", "#d55e00",
                                              "#cc79a7", "#56b4e9", "#999999"};

std::string colour(std::size_t i) {
  return kColours[i % kColours.size()];
}

std::string text(double x, double y, const char* anchor, const std::string& words) {
  std::string escaped;
  for (const char c : words)
    escaped += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor, escaped);
}

std::string line(double x1, double y1, double x2, double y2, const char* stroke) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"/>\n", x1,
                     y1, x2, y2, stroke);
}

std::string begin(const std::string& title) {
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:g} {1:g}\" width=\"{0:g}\" "
             "height=\"{1:g}\" font-family=\"sans-serif\" font-size=\"12\">\n"
             "<rect width=\"{0:g}\" height=\"{1:g}\" fill=\"white\"/>\n",
             kWidth, kHeight) +
         "<g font-size=\"14\">" + text(kLeft, 24, "start", title) + "</g>\n";
}

std::string legend(std::size_t row, const std::string& words) {
  const double y = kTop + 10 + 18 * static_cast<double>(row);
  return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"12\" height=\"12\" fill=\"{}\"/>\n",
                     kWidth - kRight + 14, y - 10, colour(row)) +
         text(kWidth - kRight + 32, y, "start", words);
}

/// A round number, at least `value`: 1, 2 or 5 times a power of ten.
double round_up(double value) {
  if (value <= 0) return 1;
  const double power = std::pow(10, std::floor(std::log10(value)));
  for (const double step : {1.0, 2.0, 5.0, 10.0}) {
    if (step * power >= value) return step * power;
  }
  return 10 * power;
}

std::string subtitle(const Report& report) {
  return fmt::format("{}: {} {} {}", report.lab, report.ends.at(0).port, report.bidirectional ? "<->" : "->",
                     report.ends.at(1).port);
}

}  // namespace

std::string throughput_svg(const Report& report) {
  std::vector<std::string> names{"MRR"};
  if (!report.mixes.empty()) {
    for (const SearchFigures& search : report.mixes.front().searches)
      names.push_back(search.name);
  }
  const auto rate = [&](const MixReport& mix, std::size_t series) {
    return series == 0 ? mix.receive_rate.rate() : mix.searches.at(series - 1).throughput;
  };
  double most = 0;
  for (const MixReport& mix : report.mixes) {
    for (std::size_t i = 0; i < names.size(); ++i)
      most = std::max(most, rate(mix, i));
  }
  const double top = round_up(most / 1e6);
  std::string svg = begin("Throughput in Mpps by frame size, " + subtitle(report));
  for (int i = 0; i <= 5; ++i) {
    const double y = kTop + kPlotHeight * (1 - i / 5.0);
    svg += line(kLeft, y, kLeft + kPlotWidth, y, i == 0 ? "#333" : "#ddd");
    svg += text(kLeft - 6, y + 4, "end", fmt::format("{:g}", top * i / 5));
  }
  const double group = kPlotWidth / static_cast<double>(std::max<std::size_t>(report.mixes.size(), 1));
  const double bar = group * 0.8 / static_cast<double>(names.size());
  for (std::size_t m = 0; m < report.mixes.size(); ++m) {
    const double left = kLeft + group * static_cast<double>(m);
    for (std::size_t i = 0; i < names.size(); ++i) {
      const double height = rate(report.mixes[m], i) / 1e6 / top * kPlotHeight;
      svg += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\">"
          "<title>{} {:.3f} Mpps</title></rect>\n",
          left + group * 0.1 + bar * static_cast<double>(i), kTop + kPlotHeight - height, bar * 0.92, height,
          colour(i), names[i], rate(report.mixes[m], i) / 1e6);
    }
    svg += text(left + group / 2, kTop + kPlotHeight + 18, "middle", report.mixes[m].mix.name);
  }
  svg += text(kLeft + kPlotWidth / 2, kHeight - 10, "middle", "frame size in bytes, with FCS");
  for (std::size_t i = 0; i < names.size(); ++i)
    svg += legend(i, names[i]);
  return svg + "</svg>\n";
}

std::string latency_svg(const Report& report) {
  double least = 1e18, most = 0;
  for (const MixReport& mix : report.mixes) {
    for (const LatencyFigures& latency : mix.latencies) {
      for (const auto& [percentile, nanoseconds] : latency.curve) {
        if (nanoseconds <= 0) continue;
        least = std::min(least, nanoseconds);
        most = std::max(most, nanoseconds);
      }
    }
  }
  if (most == 0) return {};
  // Both axes are logarithmic: nines of the percentile to the right, decades of time upwards.
  constexpr double kNines = 5;
  const double low = std::floor(std::log10(least)), high = std::max(std::ceil(std::log10(most)), low + 1);
  const auto x_of = [&](double percentile) {
    const double nines = percentile >= 100 ? kNines : -std::log10(1 - percentile / 100);
    return kLeft + kPlotWidth * std::min(nines, kNines) / kNines;
  };
  const auto y_of = [&](double nanoseconds) {
    return kTop + kPlotHeight * (1 - (std::log10(std::max(nanoseconds, 1.0)) - low) / (high - low));
  };
  std::string svg = begin("Latency by percentile, " + subtitle(report));
  for (double decade = low; decade <= high; ++decade) {
    const double y = y_of(std::pow(10, decade));
    svg += line(kLeft, y, kLeft + kPlotWidth, y, decade == low ? "#333" : "#ddd");
    svg += text(kLeft - 6, y + 4, "end", fmt::format("{:g} us", std::pow(10, decade - 3)));
  }
  for (const double percentile : {0.0, 90.0, 99.0, 99.9, 99.99, 99.999}) {
    const double x = x_of(percentile);
    svg += line(x, kTop, x, kTop + kPlotHeight, percentile == 0 ? "#333" : "#ddd");
    svg += text(x, kTop + kPlotHeight + 18, "middle", fmt::format("{:g} %", percentile));
  }
  std::size_t series = 0;
  for (const MixReport& mix : report.mixes) {
    for (const LatencyFigures& latency : mix.latencies) {
      std::string points;
      for (const auto& [percentile, nanoseconds] : latency.curve)
        points += fmt::format("{:.1f},{:.1f} ", x_of(percentile), y_of(nanoseconds));
      svg += fmt::format("<polyline fill=\"none\" stroke-width=\"1.6\" stroke=\"{}\"{} points=\"{}\"/>\n",
                         colour(series), series < kColours.size() ? "" : " stroke-dasharray=\"5 3\"", points);
      svg += legend(series, fmt::format("{} B, {:g} % of PDR", mix.mix.name, latency.load_percent));
      ++series;
    }
  }
  svg += text(kLeft + kPlotWidth / 2, kHeight - 10, "middle", "percentile of frames");
  return svg + "</svg>\n";
}

}  // namespace patchbay::tools::bench
