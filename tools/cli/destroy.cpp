#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <stdexcept>

#include "tools/cli/deployment.h"
#include "tools/cli/lab_selection.h"
#include "tools/cli/verbs.h"

namespace patchbay::tools::cli {

namespace {

constexpr int kGraceMilliseconds = 10'000;

bool ended_within(int pid_fd, int milliseconds) {
  pollfd wait{pid_fd, POLLIN, 0};
  return ::poll(&wait, 1, milliseconds) > 0;
}

}  // namespace

bool destroy(const std::string& lab) {
  const RunDirectory directory(lab);
  if (!directory.exists()) return false;
  if (const auto pid = directory.engine()) {
    const vswitch::FileDescriptor process(static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)));
    if (process) {
      // The engine takes the lab down itself; the kernel ends its nodes with it if it has to be killed.
      ::syscall(SYS_pidfd_send_signal, process.get(), SIGTERM, nullptr, 0);
      if (!ended_within(process.get(), kGraceMilliseconds)) {
        ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
        if (!ended_within(process.get(), kGraceMilliseconds)) {
          throw std::runtime_error(
              fmt::format("the engine of lab '{}' (process {}) does not end", lab, *pid));
        }
      }
    }
  }
  directory.remove();
  return true;
}

void add_destroy(CLI::App& program, int& status) {
  auto* verb =
      program.add_subcommand("destroy", "take a lab down and remove everything it left, also after a crash");
  auto* selection = new LabSelection;
  auto* all = new bool(false);
  selection->add_options(*verb);
  verb->add_flag("-a,--all", *all, "all labs");
  verb->callback([selection, all, &status] {
    if (*all) {
      for (const std::string& lab : RunDirectory::labs()) {
        destroy(lab);
        fmt::print("lab {} is down\n", lab);
      }
    } else {
      const std::string lab = selection->lab_name();
      fmt::print("lab {} {}\n", lab, destroy(lab) ? "is down" : "was not up");
    }
    status = 0;
  });
}

}  // namespace patchbay::tools::cli
