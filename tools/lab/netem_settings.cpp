#include "tools/lab/netem_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tools/lab/quantity.h"

namespace patchbay::tools {
namespace {

template <class T>
std::optional<Fault> assign(T& target, Parsed<T> parsed) {
  if (auto* fault = std::get_if<Fault>(&parsed)) return std::move(*fault);
  target = std::get<T>(parsed);
  return std::nullopt;
}

Netem read_direction(const YamlNode& node, Reader& reader) {
  Netem netem;
  if (!reader.map(node, "a direction of netem", netem_direction_keys())) return netem;
  for (const Key& key : netem_direction_keys()) {
    const YamlNode* value = node.find(key.name);
    if (value == nullptr) continue;
    (void)reader.value(*value, key.name, [&](std::string_view text) -> Parsed<bool> {
      if (auto fault = set_netem(netem, key.name, text)) return std::move(*fault);
      return true;
    });
  }
  if (auto fault = check_netem(netem))
    reader.error(*node.find(fault->key), fault->fault.message, fault->fault.hint);
  return netem;
}

}  // namespace

std::optional<Fault> set_netem(Netem& netem, std::string_view key, std::string_view text) {
  if (key == "delay") return assign(netem.delay, parse_duration(text, "ms"));
  if (key == "jitter") return assign(netem.jitter, parse_duration(text, "ms"));
  if (key == "loss") return assign(netem.loss_percent, parse_percentage(text));
  if (key == "reorder") return assign(netem.reorder_percent, parse_percentage(text));
  if (key == "duplicate") return assign(netem.duplicate_percent, parse_percentage(text));
  if (key == "corrupt") return assign(netem.corrupt_percent, parse_percentage(text));
  if (key == "rate") return assign(netem.rate_bits, parse_rate(text));
  return Fault{fmt::format("'{}' is no impairment", key),
               "delay, jitter, loss, reorder, duplicate, corrupt, rate"};
}

std::optional<NetemFault> check_netem(const Netem& netem) {
  if (netem.jitter > netem.delay) {
    return NetemFault{"jitter",
                      {"the jitter is larger than the delay",
                       "frames cannot arrive before they are sent: raise the delay"}};
  }
  if (netem.reorder_percent > 0 && netem.delay.count() == 0) {
    return NetemFault{"reorder",
                      {"reordering needs a delay", "frames overtake only those that wait: add delay"}};
  }
  return std::nullopt;
}

std::string format_delay(std::chrono::microseconds delay) {
  const std::int64_t us = delay.count();
  if (us >= 1'000'000) return fmt::format("{}s", static_cast<double>(us) / 1e6);
  if (us >= 1000) return fmt::format("{}ms", static_cast<double>(us) / 1e3);
  return fmt::format("{}us", us);
}

std::string format_percentage(double percent) {
  return fmt::format("{}%", percent);
}

std::string format_rate(std::uint64_t bits) {
  constexpr std::array<std::pair<std::uint64_t, std::string_view>, 3> kUnits{
      {{1'000'000'000, "gbit"}, {1'000'000, "mbit"}, {1000, "kbit"}}};
  for (const auto& [factor, unit] : kUnits) {
    if (bits >= factor)
      return fmt::format("{}{}", static_cast<double>(bits) / static_cast<double>(factor), unit);
  }
  return fmt::format("{}bit", bits);
}

std::string to_string(const Netem& netem) {
  std::string text;
  const auto add = [&text](std::string_view word, const std::string& value) {
    text += fmt::format("{}{} {}", text.empty() ? "" : " ", word, value);
  };
  if (netem.delay.count() != 0) add("delay", format_delay(netem.delay));
  if (netem.jitter.count() != 0) text += " " + format_delay(netem.jitter);
  if (netem.loss_percent > 0) add("loss", format_percentage(netem.loss_percent));
  if (netem.reorder_percent > 0) add("reorder", format_percentage(netem.reorder_percent));
  if (netem.duplicate_percent > 0) add("duplicate", format_percentage(netem.duplicate_percent));
  if (netem.corrupt_percent > 0) add("corrupt", format_percentage(netem.corrupt_percent));
  if (netem.rate_bits != 0) add("rate", format_rate(netem.rate_bits));
  return text;
}

LinkNetem read_netem(const YamlNode& node, Reader& reader) {
  LinkNetem netem;
  if (!reader.map(node, "netem", netem_keys())) return netem;
  constexpr std::array<std::string_view, 2> kDirections{"a-to-z", "z-to-a"};
  for (std::size_t end = 0; end < netem.size(); ++end) {
    if (const YamlNode* direction = node.find(kDirections[end]))
      netem[end] = {read_direction(*direction, reader), direction->at};
  }
  return netem;
}

}  // namespace patchbay::tools
