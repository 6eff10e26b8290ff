#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include "tools/cli/agent_exec.h"
#include "tools/cli/deployment.h"
#include "tools/cli/lab_selection.h"
#include "tools/cli/verbs.h"
#include "tools/lab/check_verdict.h"
#include "tools/node/command.h"

namespace patchbay::tools::cli {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kCommandTimeout = std::chrono::seconds(60);
constexpr auto kRetryInterval = std::chrono::milliseconds(200);

class LabTest {
 public:
  explicit LabTest(const Lab& lab) : lab_(lab), client_(RunDirectory(lab.name).control_socket().string()) {}

  /// All health checks and checks; true if all passed and the frame counters balance.
  bool run() {
    listing_ = client_.call("inspect");
    for (const Node& node : lab_.nodes) {
      if (node.healthcheck) report(node.name + " is healthy", healthy(node));
    }
    for (const Check& check : lab_.checks)
      report(check.name, passes(check));
    listing_ = client_.call("inspect");
    Verdict balance{listing_.at("balanced").get<bool>(), "every frame is accounted for"};
    if (!balance.passed) balance.explanation = listing_.at("imbalances").dump();
    report("frame counters balance", balance);
    fmt::print("{} passed, {} failed\n", passed_, failed_);
    return failed_ == 0;
  }

 private:
  void report(const std::string& name, const Verdict& verdict) {
    fmt::print("{}  {:<44} {}\n", verdict.passed ? "ok  " : "FAIL", name, verdict.explanation);
    ++(verdict.passed ? passed_ : failed_);
  }

  CommandOutcome run_command(const Node& node, const std::vector<std::string>& words,
                             std::chrono::milliseconds timeout) {
    const control::Json found = find_node(listing_, node.name);
    if (found.value("exec", "") == "agent") return run_in_vm(node, words, timeout);
    const int pid = found.at("pid").get<int>();
    const vswitch::FileDescriptor process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!process) throw std::runtime_error("node '" + node.name + "' has ended");
    const CommandResult result =
        run_in_node(process.get(), {words, {node.env.begin(), node.env.end()}}, timeout);
    return {result.status, result.output, result.error_output};
  }

  CommandOutcome run_in_vm(const Node& node, const std::vector<std::string>& words,
                           std::chrono::milliseconds timeout) {
    try {
      const CommandResult result =
          run_in_guest(control::Client(RunDirectory(lab_.name).control_socket().string()), node.name,
                       {words, {}}, timeout);
      return {result.status, result.output, result.error_output};
    } catch (const control::RequestError& error) {
      return {1, "", error.what()};  // its agent may come yet
    }
  }

  Verdict healthy(const Node& node) {
    const HealthCheck& check = *node.healthcheck;
    const auto grace = Clock::now() + check.start_period;
    unsigned failures = 0;
    for (;;) {
      const CommandOutcome outcome = run_command(
          node, check.command, std::chrono::duration_cast<std::chrono::milliseconds>(check.timeout));
      if (outcome.exit_status == 0) return {true, "its health check passed"};
      if (Clock::now() > grace && ++failures >= check.retries) {
        return {false, fmt::format("its health check ended with status {}: {}", outcome.exit_status,
                                   outcome.error_output)};
      }
      std::this_thread::sleep_for(check.interval);
    }
  }

  Verdict passes(const Check& check) {
    const CheckCommand command = command_of(check);
    const auto deadline = Clock::now() + check.within;
    for (;;) {
      const Verdict verdict =
          judge(check, run_command(lab_.nodes[command.node], command.argv, kCommandTimeout));
      if (verdict.passed || Clock::now() >= deadline) return verdict;
      std::this_thread::sleep_for(kRetryInterval);
    }
  }

  const Lab& lab_;
  control::Client client_;
  control::Json listing_;
  unsigned passed_ = 0, failed_ = 0;
};

}  // namespace

void add_test(CLI::App& program, int& status) {
  auto* verb = program.add_subcommand(
      "test", "bring a lab up, run its checks, take it down; exit status 0 if all passed");
  auto* selection = new LabSelection;
  auto* keep = new bool(false);
  auto* workers = add_workers_option(*verb);
  verb->add_option("-t,--topo", selection->file, "lab file; default: the only *.clab.yml in this directory");
  verb->add_flag("--keep", *keep, "leave the lab up");
  verb->callback([selection, keep, workers, &status] {
    const Lab lab = selection->load();
    fmt::print("lab {} is up after {} ms\n", lab.name, deploy_in_background(lab, *workers));
    bool passed = false;
    try {
      passed = LabTest(lab).run();
    } catch (...) {
      if (!*keep) destroy(lab.name);
      throw;
    }
    if (!*keep) destroy(lab.name);
    status = passed ? 0 : 1;
  });
}

}  // namespace patchbay::tools::cli
