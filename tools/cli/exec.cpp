#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "tools/cli/agent_exec.h"
#include "tools/cli/console_session.h"
#include "tools/cli/lab_selection.h"
#include "tools/cli/verbs.h"
#include "tools/node/command.h"

namespace patchbay::tools::cli {
namespace {

/// Until the agent of a guest that runs answers, or for `seconds`: the guest may be booting.
void wait_for_agent(const LabSelection& selection, const std::string& node, double seconds) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kBetween = std::chrono::milliseconds(200);
  const auto deadline = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < deadline) {
    const control::Json found = find_node(selection.connect().call("inspect"), node);
    if (found.value("agent", false) || found.value("state", "") != "running") return;
    std::this_thread::sleep_for(kBetween);
  }
}

}  // namespace

void add_exec(CLI::App& program, int& status) {
  auto* verb = program.add_subcommand("exec", "run a command in a node");
  verb->footer(
      R"(In a linux node the command is a program of this host, in a vm one of the guest, where patchbay-agent has to run;
its exit status is passed on. In a router it is typed at the console.
Examples:
  patchbay exec --node h1 -- ping -c 3 10.0.2.2
  patchbay exec --node r1 -- show ip route
  patchbay exec --node v1 --cmd 'dmesg | tail')");
  auto* selection = new LabSelection;
  auto* node = new std::string;
  auto* words = new std::vector<std::string>;
  auto* line = new std::string;
  auto* wait = new double(30);
  selection->add_options(*verb);
  verb->add_option("--node", *node, "where to run it")->required();
  auto* by_line = verb->add_option("--cmd", *line, "command as one string, run by a shell");
  verb->add_option("--wait", *wait, "seconds that a vm which is still booting may take to answer")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0));
  verb->add_option("command", *words, "program and arguments, after --")->excludes(by_line);
  verb->callback([selection, node, words, line, wait, &status] {
    if (words->empty() && line->empty()) throw InputError("no command; write it after --, or use --cmd");
    const control::Json found = find_node(selection->connect().call("inspect"), *node);
    const std::string way = found.value("exec", "");
    if (way == "console") {
      // Nobody reads what is typed at a machine that does not run.
      if (const std::string state = found.at("state"); state != "running") {
        throw std::runtime_error(fmt::format("node '{0}' is {1}, not running; patchbay power {2} {0}", *node,
                                             state, state == "paused" ? "resume" : "on"));
      }
      std::string command = *line;
      for (const std::string& word : *words)
        command += (command.empty() ? "" : " ") + word;
      fmt::print("{}", ConsoleSession(found.at("console").get<std::string>(), *node + "# ").run(command));
      status = 0;
      return;
    }
    Command command;
    command.words = line->empty() ? *words : std::vector<std::string>{"sh", "-c", *line};
    if (way == "agent") {
      wait_for_agent(*selection, *node, *wait);
      status = exec_in_guest(selection->connect(), *node, command);
      return;
    }
    if (way != "namespace") throw InputError("node '" + *node + "' runs no commands");
    const vswitch::FileDescriptor process(
        static_cast<int>(::syscall(SYS_pidfd_open, found.at("pid").get<int>(), 0)));
    if (!process) throw std::runtime_error("node '" + *node + "' has just ended");
    status = run_in_node_attached(process.get(), command);
  });
}

}  // namespace patchbay::tools::cli
