#include "appliances/router/core/console/console.h"

#include <algorithm>
#include <array>

#include "appliances/router/core/arp.h"
#include "appliances/router/core/cli/parse.h"
#include "appliances/router/core/console/show.h"

namespace patchbay::router {
namespace {

enum ExecCommand : std::uint8_t {
  kShowInterfaces,
  kShowInterfacesBrief,
  kShowInterface,
  kShowRoutes,
  kShowRoute,
  kShowArp,
  kShowRunningConfig,
  kShowVersion,
  kShowCounters,
  kClearCounters,
  kClearArp,
  kConfigure,
  kPing,
  kHelp,
  kQuit,
  kAccepted,
};

constexpr std::array kExecCommands{
    Command{"show interface", kShowInterfaces, "Interfaces with addresses and counters"},
    Command{"show interface brief", kShowInterfacesBrief, "Interfaces, one a line"},
    Command{"show interface IFNAME", kShowInterface, "One interface"},
    Command{"show ip route", kShowRoutes, "The routing table"},
    Command{"show ip route A.B.C.D", kShowRoute, "The route that packets to an address take"},
    Command{"show ip arp", kShowArp, "The neighbour table"},
    Command{"show arp", kShowArp, "The neighbour table"},
    Command{"show running-config", kShowRunningConfig, "The configuration as it is now"},
    Command{"show version", kShowVersion, "Version, time since start, sizes of tables"},
    Command{"show counters", kShowCounters, "What happened to packets, drops by reason"},
    Command{"clear counters", kClearCounters, "Set all counters to zero"},
    Command{"clear arp", kClearArp, "Forget all neighbours"},
    Command{"configure [terminal]", kConfigure, "Change the configuration"},
    Command{"ping A.B.C.D", kPing, "Send ICMP echo requests"},
    Command{"ping A.B.C.D count (1-1000000)", kPing, "Send so many"},
    Command{"ping A.B.C.D size (0-65000)", kPing, "Send so many bytes of data"},
    Command{"ping A.B.C.D count (1-1000000) size (0-65000)", kPing, "Send so many of so many bytes"},
    Command{"ping A.B.C.D size (0-65000) count (1-1000000)", kPing, "Send so many of so many bytes"},
    Command{"help", kHelp, "How to use this console"},
    Command{"exit", kQuit, "End the session"},
    Command{"quit", kQuit, "End the session"},
    Command{"enable", kAccepted, "Accepted: every command is enabled"},
    Command{"terminal length (0-512)", kAccepted, "Accepted: output is never paged"},
};

/// Prints suggestions, one a line.
class HelpPrinter final : public Suggestions {
 public:
  explicit HelpPrinter(Printer& printer) noexcept : printer_(printer) {}
  void suggest(const Command& command, std::string_view) override {
    TextWriter& text = printer_.begin();
    text << "  " << command.pattern;
    text.pad_to(50) << command.help;
    printer_.end();
    any_ = true;
  }
  [[nodiscard]] bool any() const noexcept { return any_; }

 private:
  Printer& printer_;
  bool any_ = false;
};

/// Finds what all possible keywords have in common.
class Completion final : public Suggestions {
 public:
  void suggest(const Command&, std::string_view word) override {
    const bool keyword = word.front() >= 'a' && word.front() <= 'z';
    if (!keyword) return;
    if (!found_) {
      common_ = word;
      found_ = true;
      return;
    }
    unique_ = unique_ && word == common_;
    const auto difference = std::mismatch(common_.begin(), common_.end(), word.begin(), word.end());
    common_ = {common_.data(), static_cast<std::size_t>(difference.first - common_.begin())};
  }
  [[nodiscard]] std::string_view common() const noexcept { return common_; }
  [[nodiscard]] bool unique() const noexcept { return found_ && unique_; }

 private:
  std::string_view common_;
  bool found_ = false;
  bool unique_ = true;
};

/// The counters stay balanced: the packets held now are all that was ever received.
void clear_counters(Plane& plane) noexcept {
  const std::uint64_t held = plane.counters.held;
  plane.counters = RouterCounters{};
  plane.counters.held = plane.counters.received = held;
  for (auto& interface : plane.interfaces)
    interface.counters = InterfaceCounters{};
}

}  // namespace

void Console::start() noexcept {
  printer_.line();
  printer_.line("Patchbay router ", state_.version.view(), ". Type '?' or 'help' for help.");
  printer_.line();
  print_prompt();
}

void Console::input(std::string_view typed, Nanoseconds now) noexcept {
  state_.plane.now = now;
  for (const char c : typed) {
    if (!busy()) {
      take(c);
    } else if (c == '\x03') {
      waiting_count_ = 0;
      printer_.raw("^C\r\n");
      ping_.stop();
      print_prompt();
    } else if (waiting_count_ < waiting_.size()) {
      waiting_[waiting_count_++] = c;
    }
  }
  state_.plane.transmitter.flush();
}

Nanoseconds Console::poll() noexcept {
  if (!busy()) return kNever;
  const Nanoseconds deadline = ping_.poll();
  if (busy()) return deadline;
  print_prompt();
  take_waiting();
  return busy() ? state_.plane.now : kNever;
}

void Console::take_waiting() noexcept {
  std::size_t taken = 0;
  while (taken < waiting_count_ && !busy())
    take(waiting_[taken++]);
  std::copy(waiting_.begin() + static_cast<std::ptrdiff_t>(taken),
            waiting_.begin() + static_cast<std::ptrdiff_t>(waiting_count_), waiting_.begin());
  waiting_count_ -= taken;
}

void Console::take(char c) noexcept {
  switch (editor_.feed(c)) {
    case LineEditor::Event::none:
      return;
    case LineEditor::Event::line:
      run_line();
      editor_.reset(true);
      break;
    case LineEditor::Event::interrupt:
      editor_.reset(false);
      configuring_ = false;
      break;
    case LineEditor::Event::end_of_input:
      printer_.raw("\r\n");
      run_exit();
      break;
    case LineEditor::Event::help:
      show_help();
      print_prompt();
      printer_.raw(editor_.line());
      return;
    case LineEditor::Event::complete:
      return complete();
  }
  if (!busy()) print_prompt();
}

void Console::run_exit() noexcept {
  if (!configuring_) return printer_.line("The console stays open; close the terminal to leave it.");
  run_config("exit");
}

void Console::run_line() noexcept {
  const Words words(editor_.line());
  if (words.is_comment()) return;
  if (!configuring_) return run_exec(words);
  // "do show ..." runs a command of the exec mode from the configuration.
  if (words[0].text == "do" && words.size() > 1) return run_exec(Words(words.rest(1)));
  run_config(editor_.line());
}

void Console::run_config(std::string_view line) noexcept {
  if (const auto error = apply_config_line(state_.configuration, context_, line)) return print_error(*error);
  if (context_.ended) configuring_ = false;
  if (const std::size_t missing = reconcile(state_); missing != 0) {
    printer_.line("% no memory for ", static_cast<std::uint64_t>(missing), " routes: they are not installed");
  }
}

void Console::run_exec(const Words& words) noexcept {
  const CommandMatch match = match_command(kExecCommands, words);
  if (match.command == nullptr) return print_error(match.error);
  Plane& plane = state_.plane;
  switch (match.command->id) {
    case kShowInterfaces:
      return show_interfaces(printer_, state_);
    case kShowInterfacesBrief:
      return show_interfaces_brief(printer_, state_);
    case kShowInterface:
      if (const auto id = state_.configuration.find_interface(words[2].text)) {
        return show_interface(printer_, state_, *id);
      }
      return printer_.line("% there is no interface '", words[2].text, "'");
    case kShowRoutes:
      return show_routes(printer_, state_);
    case kShowRoute:
      return show_route(printer_, state_, *parse_address(words[3].text));
    case kShowArp:
      return show_neighbors(printer_, state_);
    case kShowRunningConfig:
      return show_running_config(printer_, state_.configuration);
    case kShowVersion:
      return show_version(printer_, state_);
    case kShowCounters:
      return show_counters(printer_, state_);
    case kClearCounters:
      return clear_counters(plane);
    case kClearArp:
      for (const auto& interface : plane.interfaces)
        arp_forget(plane, interface.id, true);
      return;
    case kConfigure:
      configuring_ = true;
      context_ = ConfigContext{};
      return;
    case kPing:
      return start_ping(words);
    case kHelp:
      printer_.line("'?' lists what can be typed next, tab completes a word, and words may be abbreviated.");
      printer_.line("Arrow up brings back earlier lines; ^C ends a running command.");
      printer_.line(
          "'configure terminal' takes lines of configuration; 'exit' leaves a level of it, 'end' all.");
      return;
    case kQuit:
      return run_exit();
    default:
      return;
  }
}

void Console::start_ping(const Words& words) noexcept {
  std::uint32_t count = Ping::kDefaultCount;
  std::size_t bytes = Ping::kDefaultBytes;
  for (std::size_t i = 2; i + 1 < words.size(); i += 2) {
    const std::uint32_t value = *parse_number(words[i + 1].text);
    if (words[i].text.front() == 'c') {
      count = value;
    } else {
      bytes = value;
    }
  }
  ping_.start(*parse_address(words[1].text), count, bytes);
}

void Console::suggest(const Words& words, Suggestions& suggestions) const noexcept {
  if (!configuring_) return suggest_commands(kExecCommands, words, suggestions);
  if (context_.interface != kNoInterface) suggest_commands(interface_config_commands(), words, suggestions);
  suggest_commands(global_config_commands(), words, suggestions);
}

void Console::show_help() noexcept {
  HelpPrinter help(printer_);
  suggest(Words(editor_.line()), help);
  if (!help.any()) printer_.line("% there is no command that begins like this");
}

void Console::complete() noexcept {
  const Words words(editor_.line());
  if (words.empty() || words.ends_with_space()) return;
  Completion completion;
  suggest(words, completion);
  const std::size_t typed = words[words.size() - 1].text.size();
  std::string_view rest = completion.common();
  rest.remove_prefix(std::min(typed, rest.size()));
  editor_.type(rest);
  if (completion.unique()) editor_.type(" ");
}

void Console::print_error(const ConfigError& error) noexcept {
  printer_.line("% ", error.problem.view(), "; ", error.remedy.view());
}

void Console::print_prompt() noexcept {
  printer_.raw(state_.configuration.hostname());
  if (!configuring_) return printer_.raw("# ");
  printer_.raw(context_.interface == kNoInterface ? "(config)# " : "(config-if)# ");
}

}  // namespace patchbay::router
