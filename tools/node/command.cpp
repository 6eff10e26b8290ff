#include "tools/node/command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <map>
#include <memory>

extern char** environ;

namespace patchbay::tools {
namespace {

constexpr int kNamespaces = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS;
constexpr std::size_t kStackBytes = 64 * 1024;  // execvpe needs PATH_MAX and an argument vector

/// What the two helper processes of spawn() share with the caller, whose memory they run in.
struct Launch {
  int pid_fd;
  char* const* words;
  char* const* environment;
  const char* directory;
  std::array<int, 3> standard;  // descriptors that become 0, 1, 2
  std::byte* second_stack;
  pid_t pid = -1;
  const char* failed_step = nullptr;
  int error = 0;

  void fail(const char* step) {
    failed_step = step;
    error = errno;
  }
};

/// The command itself, in all namespaces. Memory is shared with the caller: system calls only.
int start_command(void* argument) {
  Launch& launch = *static_cast<Launch*>(argument);
  for (int number = 0; number < 3; ++number) {
    if (::dup2(launch.standard[static_cast<std::size_t>(number)], number) < 0) {
      launch.fail("redirecting its output");
      return 127;
    }
  }
  // The node sees the host's files, so relative names should mean what they mean to the caller.
  if (::chdir(launch.directory) != 0 && ::chdir("/") != 0) {
    launch.fail("changing to /");
    return 127;
  }
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < SIGRTMAX; ++signal)
    ::sigaction(signal, &standard, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execvpe(launch.words[0], launch.words, launch.environment);
  launch.fail("starting the program");
  return 127;
}

/// Enters the namespaces. A PID namespace takes effect for children only, hence the second process, which
/// becomes the caller's child (CLONE_PARENT) so that the caller can wait for it.
int enter_namespaces(void* argument) {
  Launch& launch = *static_cast<Launch*>(argument);
  if (::setns(launch.pid_fd, kNamespaces) != 0) {
    launch.fail("entering its namespaces");
    return 1;
  }
  launch.pid = ::clone(start_command, launch.second_stack + kStackBytes,
                       CLONE_VM | CLONE_VFORK | CLONE_PARENT | SIGCHLD, &launch);
  if (launch.pid < 0) launch.fail("creating a process");
  return 0;
}

/// Starts a command in a node. Both helpers share this process's memory and suspend the calling thread (as
/// vfork does): a fork would make the switch's memory copy-on-write under its workers.
pid_t spawn(int pid_fd, const Command& command, const std::array<int, 3>& standard) {
  if (command.words.empty()) throw NodeError("no command given");
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  for (const auto& [name, value] : command.environment)
    variables[name] = value;

  std::vector<std::string> environment;
  std::vector<char*> environment_pointers;
  environment.reserve(variables.size());
  for (const auto& [name, value] : variables)
    environment.push_back(name + "=" + value);
  for (std::string& entry : environment)
    environment_pointers.push_back(entry.data());
  environment_pointers.push_back(nullptr);
  std::vector<char*> words;
  for (const std::string& word : command.words)
    words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);

  std::array<char, PATH_MAX> directory{"/"};
  if (::getcwd(directory.data(), directory.size()) == nullptr) directory = {"/"};
  const auto stacks = std::make_unique<std::byte[]>(2 * kStackBytes);
  Launch launch{pid_fd, words.data(), environment_pointers.data(), directory.data(), standard, stacks.get()};

  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  const pid_t helper =
      ::clone(enter_namespaces, stacks.get() + 2 * kStackBytes, CLONE_VM | CLONE_VFORK | SIGCHLD, &launch);
  if (helper < 0) launch.fail("creating a process");
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (helper > 0) ::waitpid(helper, nullptr, 0);
  if (launch.failed_step != nullptr) {
    if (launch.pid > 0) ::waitpid(launch.pid, nullptr, 0);
    throw NodeError(fmt::format("cannot run '{}' in the node: {}: {}", command.words.front(),
                                launch.failed_step, std::strerror(launch.error)));
  }
  return launch.pid;
}

int shell_status(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

/// A pipe that collects what a command prints.
struct Stream {
  Stream() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw NodeError(fmt::format("pipe: {}", std::strerror(errno)));
    reader.reset(ends[0]);
    writer.reset(ends[1]);
    ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
  }
  /// Takes what is there now; closes the reader at the end.
  void drain() {
    std::array<char, 16384> buffer;
    while (reader) {
      const ssize_t got = ::read(reader.get(), buffer.data(), buffer.size());
      if (got > 0) {
        text.append(buffer.data(), std::min(static_cast<std::size_t>(got), kMaxCommandOutput - text.size()));
      } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        reader.reset();
      } else if (errno == EAGAIN) {
        return;
      }
    }
  }

  FileDescriptor reader;
  FileDescriptor writer;
  std::string text;
};

/// Keeps terminal signals for the command while one runs attached.
class IgnoreTerminalSignals {
 public:
  IgnoreTerminalSignals() {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGINT, &ignore, &interrupt_);
    ::sigaction(SIGQUIT, &ignore, &quit_);
  }
  ~IgnoreTerminalSignals() {
    ::sigaction(SIGINT, &interrupt_, nullptr);
    ::sigaction(SIGQUIT, &quit_, nullptr);
  }
  IgnoreTerminalSignals(const IgnoreTerminalSignals&) = delete;
  IgnoreTerminalSignals& operator=(const IgnoreTerminalSignals&) = delete;

 private:
  struct sigaction interrupt_ {};
  struct sigaction quit_ {};
};

}  // namespace

CommandResult run_in_node(int pid_fd, const Command& command, std::chrono::milliseconds timeout) {
  Stream output;
  Stream error_output;
  const FileDescriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const pid_t pid = spawn(pid_fd, command, {null.get(), output.writer.get(), error_output.writer.get()});
  output.writer.reset();
  error_output.writer.reset();
  const FileDescriptor process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)));

  CommandResult result;
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    std::array<pollfd, 3> events{{{process.get(), POLLIN, 0},
                                  {output.reader.get(), POLLIN, 0},
                                  {error_output.reader.get(), POLLIN, 0}}};
    const int ready = ::poll(events.data(), events.size(), static_cast<int>(std::max<long>(left.count(), 0)));
    if (ready < 0 && errno != EINTR) break;
    if (ready == 0) {
      result.timed_out = true;
      ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0U);
      break;
    }
    output.drain();
    error_output.drain();
    // A daemon that the command left behind may hold the pipes open: the command's own end is what counts.
    if (events[0].revents != 0) break;
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  output.drain();
  error_output.drain();
  result.output = std::move(output.text);
  result.error_output = std::move(error_output.text);
  result.status = result.timed_out ? 124 : shell_status(status);
  return result;
}

int run_in_node_attached(int pid_fd, const Command& command) {
  const IgnoreTerminalSignals ignore;
  const pid_t pid = spawn(pid_fd, command, {0, 1, 2});
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return shell_status(status);
}

}  // namespace patchbay::tools
