#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "tools/cli/deployment.h"
#include "tools/cli/lab_selection.h"
#include "tools/cli/verbs.h"
#include "tools/engine/engine.h"
#include "tools/engine/external_node.h"
#include "tools/engine/host_requirements.h"
#include "vswitch/file_descriptor.h"
#include "vswitch/source.h"

namespace patchbay::tools::cli {

namespace {

std::string kvm_path() {
  const char* path = std::getenv("PATCHBAY_KVM_DEVICE");
  return path != nullptr ? path : "/dev/kvm";
}

EngineOptions engine_options(unsigned workers) {
  EngineOptions options;
  options.workers = workers;
  options.kvm_path = kvm_path();
  const auto programs = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const char* image = std::getenv("PATCHBAY_ROUTER_IMAGE");
  options.router_image = image != nullptr ? std::filesystem::path(image) : programs / "router.elf";
  options.guest_agent = programs / "patchbay-agent";
  return options;
}

void check_host(const Lab& lab) {
  const std::string missing = missing_for(lab, kvm_path());
  if (!missing.empty()) throw std::runtime_error(missing);
}

/// Up until told to end. `on_up` hears when everything runs. With `keep_log`, an engine that fails later
/// leaves its directory, as one that was killed does: `destroy` removes it.
void run_engine(const Lab& lab, unsigned workers, bool keep_log, const std::function<void(long)>& on_up) {
  RunDirectory directory(lab.name);
  directory.claim();
  directory.record_engine();
  bool up = false;
  try {
    Engine engine(lab, directory, engine_options(workers));
    on_up(static_cast<long>(engine.bring_up_time().count()));
    up = true;
    engine.run();
  } catch (...) {
    if (!up || !keep_log) directory.remove();
    throw;
  }
  directory.remove();
}

/// What the user needs to start external nodes with.
void print_sockets(const Lab& lab) {
  const RunDirectory directory(lab.name);
  for (const Node& node : lab.nodes) {
    if (node.kind != NodeKind::external) continue;
    for (const Interface& interface : node.interfaces) {
      fmt::print("{}:{}: vhost-user, {} {}, mac {}\n", node.name, interface.name,
                 interface.vhost_user.client ? "connects to" : "listens at",
                 vhost_user_socket(directory, node, interface).string(), to_string(interface.mac));
    }
  }
}

/// The background process: own session, output to the log. Tells the parent "up MILLISECONDS" or "error
/// TEXT".
[[noreturn]] void become_engine(const Lab& lab, unsigned workers, int report) {
  ::setsid();
  const int null = ::open("/dev/null", O_RDWR);
  ::dup2(null, 0);
  ::dup2(null, 1);
  int status = 0;
  bool told = false;
  try {
    run_engine(lab, workers, true, [&](long milliseconds) {
      const RunDirectory directory(lab.name);
      const int log = ::open(directory.log().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
      ::dup2(log >= 0 ? log : null, 2);
      vswitch::write_all(report, fmt::format("up {}", milliseconds));
      ::close(report);
      told = true;
    });
  } catch (const std::exception& error) {
    if (told) {
      fmt::print(stderr, "the engine ends: {}\n", error.what());  // to the log
    } else {
      vswitch::write_all(report, fmt::format("error {}", error.what()));
    }
    status = 1;
  }
  ::_exit(status);
}

}  // namespace

long deploy_in_background(const Lab& lab, unsigned workers) {
  check_host(lab);
  if (RunDirectory(lab.name).engine()) {
    throw std::runtime_error(
        fmt::format("lab '{0}' is up already; take it down first: patchbay destroy --name {0}", lab.name));
  }
  destroy(lab.name);  // what an engine that was killed left behind
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe: too many open files (ulimit -n)");
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("cannot start the engine: too many processes (ulimit -u)");
  if (child == 0) {
    ::close(ends[0]);
    become_engine(lab, workers, ends[1]);
  }
  ::close(ends[1]);
  std::string report;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    report.append(buffer, static_cast<std::size_t>(n));
  ::close(ends[0]);
  if (report.starts_with("up ")) return std::stol(report.substr(3));
  int status = 0;
  ::waitpid(child, &status, 0);
  if (report.starts_with("error ")) throw std::runtime_error(report.substr(6));
  destroy(lab.name);
  throw std::runtime_error(
      fmt::format("the engine of lab '{}' ended while it came up (wait status {})", lab.name, status));
}

void deploy_in_foreground(const Lab& lab, unsigned workers) {
  check_host(lab);
  run_engine(lab, workers, false, [&](long milliseconds) {
    fmt::print("lab {} is up after {} ms; Ctrl-C takes it down\n", lab.name, milliseconds);
    print_sockets(lab);
    std::fflush(stdout);
  });
}

unsigned* add_workers_option(CLI::App& verb) {
  auto* workers = new unsigned(1);  // lives as long as the program's options
  verb.add_option(
          "--workers", *workers,
          "threads that forward frames, 1 to 16; default: 1. They share the ports of a bridge and the "
          "queues of a card; each that is busy takes a core from the guests")
      ->check(CLI::Range(1U, static_cast<unsigned>(vswitch::kMaxWorkers)));
  return workers;
}

void add_deploy(CLI::App& program, int& status) {
  auto* verb = program.add_subcommand("deploy", "bring a lab up");
  verb->footer(
      "Examples:\n  patchbay deploy -t examples/two-lans.clab.yml\n  patchbay deploy --foreground\n  "
      "patchbay deploy --workers 4");
  auto* selection = new LabSelection;  // lives as long as the program's options
  auto* foreground = new bool(false);
  auto* workers = add_workers_option(*verb);
  verb->add_option("-t,--topo", selection->file, "lab file; default: the only *.clab.yml in this directory");
  verb->add_flag("--foreground", *foreground, "run the engine here; Ctrl-C takes the lab down");
  verb->callback([selection, foreground, workers, &status] {
    const Lab lab = selection->load();
    if (*foreground) {
      deploy_in_foreground(lab, *workers);
    } else {
      const long milliseconds = deploy_in_background(lab, *workers);
      fmt::print("lab {}: {} nodes and {} links up after {} ms\n", lab.name, lab.nodes.size(),
                 lab.links.size(), milliseconds);
      print_sockets(lab);
    }
    status = 0;
  });
}

}  // namespace patchbay::tools::cli
