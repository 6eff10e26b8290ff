#include "tools/bench/frame_sizes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>

namespace patchbay::tools::bench {

namespace {

constexpr std::size_t kMostFramesInMix = 64;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0;;) {
    const std::size_t end = text.find(separator, at);
    parts.push_back(text.substr(at, end - at));
    if (end == std::string_view::npos) return parts;
    at = end + 1;
  }
}

std::optional<std::size_t> whole_number(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The frames of the mix in an order that spreads each size evenly: every size has its next frame due at a
/// fraction of the mix, the earliest one goes first.
std::vector<std::size_t> spread(const std::vector<std::pair<std::size_t, std::size_t>>& counts) {
  std::vector<std::pair<double, std::size_t>> due;
  for (const auto& [size, count] : counts) {
    for (std::size_t i = 0; i < count; ++i)
      due.emplace_back((static_cast<double>(i) + 0.5) / static_cast<double>(count), size);
  }
  std::stable_sort(due.begin(), due.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::size_t> sizes;
  for (const auto& [ignored, size] : due)
    sizes.push_back(size);
  return sizes;
}

std::variant<FrameMix, FrameMixError> parse_mix(std::string_view text) {
  if (text == "imix") return FrameMix{"imix", spread({{64, 7}, {570, 4}, {1518, 1}})};
  std::vector<std::pair<std::size_t, std::size_t>> counts;
  std::size_t frames = 0;
  for (const std::string_view part : split(text, '+')) {
    const std::size_t times = part.find('x');
    const auto size = whole_number(part.substr(0, times));
    const auto count = times == std::string_view::npos ? 1 : whole_number(part.substr(times + 1));
    if (!size || !count || *count == 0) {
      return FrameMixError{fmt::format(
          "'{}' is no frame size; right are a number of bytes, imix, rfc2544, or a mix such as 64x7+1518",
          text)};
    }
    if (*size < kMinFrameSize || *size > kMaxFrameSize) {
      return FrameMixError{fmt::format("frame size {} is outside {} to {} bytes (with FCS)", *size,
                                       kMinFrameSize, kMaxFrameSize)};
    }
    if (*count > kMostFramesInMix || (frames += *count) > kMostFramesInMix)
      return FrameMixError{fmt::format("the mix '{}' has more than {} frames", text, kMostFramesInMix)};
    counts.emplace_back(*size, *count);
  }
  return FrameMix{std::string(text), spread(counts)};
}

}  // namespace

double FrameMix::mean_size() const noexcept {
  return static_cast<double>(std::accumulate(sizes.begin(), sizes.end(), std::size_t{0})) /
         static_cast<double>(sizes.size());
}

std::variant<std::vector<FrameMix>, FrameMixError> parse_frame_sizes(std::string_view text) {
  std::vector<FrameMix> mixes;
  for (const std::string_view part : split(text, ',')) {
    if (part == "rfc2544") {
      for (const std::size_t size : {64U, 128U, 256U, 512U, 1024U, 1280U, 1518U})
        mixes.push_back({std::to_string(size), {size}});
      continue;
    }
    auto mix = parse_mix(part);
    if (auto* const error = std::get_if<FrameMixError>(&mix)) return *error;
    mixes.push_back(std::get<FrameMix>(std::move(mix)));
  }
  for (std::size_t i = 0; i < mixes.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (mixes[i].name == mixes[j].name)
        return FrameMixError{fmt::format("frame size '{}' is named twice", mixes[i].name)};
    }
  }
  return mixes;
}

}  // namespace patchbay::tools::bench
