#include "tools/node/linux_node.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

namespace patchbay::tools {
namespace {

/// What the init process tells its creator: the step that failed, or `done`.
enum class Step : int {
  done,
  parent_gone,
  host_name,
  private_mounts,
  mount_proc,
  hosts_file,
  bind,
  remount_read_only,
  loopback
};
struct Report {
  Step step;
  int error;
  int index;  // which bind mount
};

const char* describe(Step step) {
  switch (step) {
    case Step::done:
      return "done";
    case Step::parent_gone:
      return "the engine ended";
    case Step::host_name:
      return "setting the host name";
    case Step::private_mounts:
      return "making mounts private";
    case Step::mount_proc:
      return "mounting /proc";
    case Step::hosts_file:
      return "mounting /etc/hosts";
    case Step::bind:
      return "mounting";
    case Step::remount_read_only:
      return "remounting read-only";
    case Step::loopback:
      return "setting lo up";
  }
  return "?";
}

// Everything below up to init_main runs in the new process, which may be the copy of a process with many
// threads: system calls only, no allocation, no locks, no stdio.

bool set_loopback_up() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP;
  const bool ok = ::ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  const int saved = errno;
  ::close(fd);
  errno = saved;
  return ok;
}

Report set_up_namespaces(const LinuxNodeConfig& config) {
  const auto failed = [](Step step, int index = 0) { return Report{step, errno, index}; };
  if (::sethostname(config.name.c_str(), config.name.size()) != 0) return failed(Step::host_name);
  // Slave, not private: an unmount on the host reaches the node, so a node never keeps a file system busy.
  if (::mount("none", "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return failed(Step::private_mounts);
  if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    return failed(Step::mount_proc);
  }
  // /sys/class/net shows the namespace of whoever mounted it. Some hosts forbid it; only `ls /sys` suffers.
  static_cast<void>(::mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr));
  if (!config.hosts_file.empty() &&
      ::mount(config.hosts_file.c_str(), "/etc/hosts", nullptr, MS_BIND, nullptr) != 0) {
    return failed(Step::hosts_file);
  }
  for (std::size_t i = 0; i < config.binds.size(); ++i) {
    const BindMount& bind = config.binds[i];
    const int index = static_cast<int>(i);
    if (::mount(bind.source.c_str(), bind.target.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
      return failed(Step::bind, index);
    }
    if (bind.read_only &&
        ::mount(nullptr, bind.target.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) != 0) {
      return failed(Step::remount_read_only, index);
    }
  }
  if (!set_loopback_up()) return failed(Step::loopback);
  return {Step::done, 0, 0};
}

[[noreturn]] void init_main(const LinuxNodeConfig& config, int socket) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_NAME, "patchbay-init");
  ::setsid();
  // The creator may have died before PDEATHSIG was set. It says "go" afterwards; end of file means it is
  // gone.
  char go = 0;
  Report report{Step::parent_gone, 0, 0};
  if (::read(socket, &go, 1) == 1) {
    // Children of this process that nobody waits for vanish without a zombie.
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGCHLD, &ignore, nullptr);
    report = set_up_namespaces(config);
  }
  const bool told = ::write(socket, &report, sizeof report) == sizeof report;
  if (report.step != Step::done || !told) ::_exit(1);
  ::syscall(SYS_close_range, 0U, ~0U, 0U);
  for (;;)
    ::pause();
}

}  // namespace

LinuxNode::LinuxNode(const LinuxNodeConfig& config) : name_(config.name) {
  const auto fail = [&](const std::string& text) -> NodeError {
    return NodeError(fmt::format("node '{}': {}", config.name, text));
  };
  int sockets[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) {
    throw fail(fmt::format("cannot create a socket: {}", std::strerror(errno)));
  }
  FileDescriptor ours(sockets[0]);
  FileDescriptor theirs(sockets[1]);

  int pid_fd = -1;
  clone_args arguments{};
  arguments.flags = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<std::uintptr_t>(&pid_fd);
  arguments.exit_signal = SIGCHLD;
  // Signal handlers of this process must not run in the new one.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  const long result = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (result == 0) {
    ::close(ours.get());
    init_main(config, theirs.get());
  }
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (result < 0) {
    throw fail(fmt::format("cannot create its namespaces: {}; {}", std::strerror(error),
                           error == EPERM    ? "run as root"
                           : error == ENOSPC ? "raise the limits in /proc/sys/user/max_*_namespaces"
                                             : "see clone(2) for the cause"));
  }
  pid_ = static_cast<pid_t>(result);
  pid_fd_.reset(pid_fd);
  theirs.reset();

  const char go = 1;
  Report report{Step::parent_gone, ECHILD, 0};
  if (::send(ours.get(), &go, 1, MSG_NOSIGNAL) == 1) {
    if (::recv(ours.get(), &report, sizeof report, 0) != sizeof report)
      report = {Step::parent_gone, ECHILD, 0};
  }
  if (report.step != Step::done) {
    ::waitpid(pid_, nullptr, 0);
    pid_fd_.reset();
    const std::string cause = std::strerror(report.error);
    if (report.step == Step::bind || report.step == Step::remount_read_only) {
      const BindMount& bind = config.binds.at(static_cast<std::size_t>(report.index));
      throw fail(fmt::format("{} {} at {}: {}; both must exist and be of the same type (file or directory)",
                             describe(report.step), bind.source, bind.target, cause));
    }
    throw fail(fmt::format("{}: {}", describe(report.step), cause));
  }
  network_namespace_.reset(::open(fmt::format("/proc/{}/ns/net", pid_).c_str(), O_RDONLY | O_CLOEXEC));
  if (!network_namespace_)
    throw fail(fmt::format("cannot open its network namespace: {}", std::strerror(errno)));
}

LinuxNode::~LinuxNode() {
  if (!pid_fd_) return;
  network_namespace_.reset();
  ::syscall(SYS_pidfd_send_signal, pid_fd_.get(), SIGKILL, nullptr, 0U);
  // The init process ends when the kernel has killed and somebody has reaped everything else in the
  // namespace. A command whose parent is stopped could delay that for ever, hence the limit: the node is dead
  // either way.
  pollfd ended{pid_fd_.get(), POLLIN, 0};
  if (::poll(&ended, 1, 2000) == 1) ::waitpid(pid_, nullptr, 0);
}

}  // namespace patchbay::tools
