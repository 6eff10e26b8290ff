#include "tools/lab/check_verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>
#include <string_view>
#include <type_traits>

namespace patchbay::tools {
namespace {

constexpr int kCommandMissing = 127;
constexpr unsigned kDefaultMaxHops = 30;  // traceroute's own

CheckCommand command_for(const PingCheck& ping) {
  CheckCommand command{ping.from, {"ping", "-n", "-q"}};
  const auto add = [&](std::string flag, std::string value) {
    command.argv.push_back(std::move(flag));
    command.argv.push_back(std::move(value));
  };
  add("-c", std::to_string(ping.count));
  add("-i", fmt::format("{:.3f}", std::chrono::duration<double>(ping.interval).count()));
  add("-W", "1");
  add("-s", std::to_string(ping.payload_bytes));
  if (ping.dont_fragment) add("-M", "do");
  command.argv.push_back(to_string(ping.to));
  return command;
}

CheckCommand command_for(const TracerouteCheck& trace) {
  const unsigned max_hops = std::max(kDefaultMaxHops, trace.hops.value_or(0) + 2);
  return {trace.from,
          {"traceroute", "-n", "-q", "2", "-w", "1", "-m", std::to_string(std::min(max_hops, 255U)),
           to_string(trace.to)}};
}

CheckCommand command_for(const ExecCheck& exec) {
  return {exec.node, {"sh", "-c", exec.command}};
}

std::string_view first_line(std::string_view text) {
  while (!text.empty() && text.front() == '\n')
    text.remove_prefix(1);
  return text.substr(0, std::min(text.find('\n'), std::size_t{160}));
}

std::string what_it_said(const CommandOutcome& outcome) {
  const std::string_view said =
      first_line(outcome.error_output.empty() ? outcome.output : outcome.error_output);
  return said.empty() ? fmt::format("exit status {}", outcome.exit_status)
                      : fmt::format("exit status {}: {}", outcome.exit_status, said);
}

// The number before `word` in "10 packets transmitted, 9 received".
std::optional<unsigned> number_before(std::string_view text, std::string_view word) {
  const std::size_t at = text.find(word);
  if (at == std::string_view::npos) return std::nullopt;
  std::size_t begin = at;
  while (begin > 0 && text[begin - 1] >= '0' && text[begin - 1] <= '9')
    --begin;
  unsigned number = 0;
  if (std::from_chars(text.data() + begin, text.data() + at, number).ec != std::errc()) return std::nullopt;
  return number;
}

Verdict judge_action(const PingCheck& ping, const CommandOutcome& outcome) {
  const auto sent = number_before(outcome.output, " packets transmitted");
  auto received = number_before(outcome.output, " received");
  if (!received) received = number_before(outcome.output, " packets received");  // busybox
  if (!sent || !received || *sent == 0) return {false, fmt::format("ping failed, {}", what_it_said(outcome))};
  const double lost = *received >= *sent ? 0.0 : 100.0 * (*sent - *received) / *sent;
  if (lost <= ping.max_loss_percent && *sent >= ping.count)
    return {true, fmt::format("{} of {} answered", *received, *sent)};
  return {false, fmt::format("{} of {} answered, {:.3g}% lost; at most {:.3g}% may be", *received, ping.count,
                             lost, ping.max_loss_percent)};
}

// The address that answered at each hop, empty where none did: lines such as " 2  10.0.2.2  0.301 ms  0.212
// ms".
std::vector<std::string> hops_of(const std::string& output) {
  std::vector<std::string> hops;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::size_t number = 0;
    if (!(words >> number) || number != hops.size() + 1) continue;
    std::string address;
    for (std::string word; words >> word && address.empty();) {
      if (word != "*") address = word;
    }
    hops.push_back(address);
  }
  return hops;
}

Verdict judge_action(const TracerouteCheck& trace, const CommandOutcome& outcome) {
  const std::vector<std::string> hops = hops_of(outcome.output);
  if (hops.empty()) return {false, fmt::format("traceroute failed, {}", what_it_said(outcome))};
  const std::string destination = to_string(trace.to);
  if (hops.back() != destination)
    return {false, fmt::format("{} was not reached in {} hops", destination, hops.size())};
  if (trace.hops && hops.size() != *trace.hops) {
    return {false,
            fmt::format("{} is {} hops away; {} were expected", destination, hops.size(), *trace.hops)};
  }
  auto rest = hops.begin();
  for (const IpAddress& router : trace.via) {
    const auto found = std::find(rest, hops.end(), to_string(router));
    if (found == hops.end())
      return {false, fmt::format("{} does not appear where it should on the way", to_string(router))};
    rest = found + 1;
  }
  return {true, fmt::format("{} hops", hops.size())};
}

Verdict judge_action(const ExecCheck& exec, const CommandOutcome& outcome) {
  if (outcome.exit_status != exec.exit_status) {
    return {false, fmt::format("{}; {} was expected", what_it_said(outcome), exec.exit_status)};
  }
  for (const std::string& text : exec.stdout_contains) {
    if (outcome.output.find(text) == std::string::npos)
      return {false, fmt::format("the output lacks \"{}\": {}", text, first_line(outcome.output))};
  }
  for (const std::string& text : exec.stdout_excludes) {
    if (outcome.output.find(text) != std::string::npos)
      return {false, fmt::format("the output has \"{}\"", text)};
  }
  return {true, fmt::format("exit status {}", outcome.exit_status)};
}

}  // namespace

CheckCommand command_of(const Check& check) {
  return std::visit([](const auto& action) { return command_for(action); }, check.action);
}

Verdict judge(const Check& check, const CommandOutcome& outcome) {
  if (outcome.exit_status == kCommandMissing && !std::holds_alternative<ExecCheck>(check.action)) {
    return {false,
            fmt::format("the program {0} is missing; install it (apt-get install {1})",
                        command_of(check).argv.front(),
                        std::holds_alternative<PingCheck>(check.action) ? "iputils-ping" : "traceroute")};
  }
  return std::visit([&](const auto& action) { return judge_action(action, outcome); }, check.action);
}

}  // namespace patchbay::tools
