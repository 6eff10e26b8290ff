#include "tools/engine/qemu/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace patchbay::tools::qemu {

namespace {

constexpr std::size_t kLongestLine = 500;

[[noreturn]] void fail(const std::string& what, int error) {
  throw std::system_error(error, std::generic_category(), what);
}

/// The new process, which shares our memory until exec: system calls only. Returns the cause if it cannot become the
/// program.
int become(char* const* words, std::span<const int> inherited, int null, int output, pid_t parent) {
  ::setsid();  // Ctrl-C at a terminal is for the engine
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return errno;
  if (::getppid() != parent) return ESRCH;  // it died before that
  if (::dup2(null, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(output, 2) < 0) return errno;
  // Libraries leave descriptors open across exec.
  if (::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) != 0) return errno;
  for (const int fd : inherited)
    if (::fcntl(fd, F_SETFD, 0) != 0) return errno;
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execv(words[0], words);
  return errno;
}

}  // namespace

ChildProcess::ChildProcess(boost::asio::io_context& loop, std::vector<std::string> words,
                           std::span<const int> inherited, std::function<void(const std::string&)> on_exit)
    : on_exit_(std::move(on_exit)) {
  std::vector<char*> pointers;
  for (std::string& word : words)
    pointers.push_back(word.data());
  pointers.push_back(nullptr);
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) fail("no pipe for " + words[0], errno);
  vswitch::FileDescriptor read_end(pipe[0]);
  const vswitch::FileDescriptor write_end(pipe[1]);
  ::fcntl(read_end.get(), F_SETFL, O_NONBLOCK);
  const vswitch::FileDescriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));

  // vfork: the engine's address space is large, and copying its page tables would take long. This thread stands still
  // until exec; signal handlers of ours must not run in the new process.
  const pid_t parent = ::getpid();
  volatile int failure = 0;
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  pid_ = ::vfork();
  if (pid_ == 0) {
    failure = become(pointers.data(), inherited, null.get(), write_end.get(), parent);
    ::_exit(127);
  }
  const int error = pid_ < 0 ? errno : failure;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) {
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
    fail("cannot start " + words[0], error);
  }

  vswitch::FileDescriptor pid_fd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0U)));
  if (!pid_fd) {
    const int cause = errno;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    fail("cannot watch " + words[0], cause);
  }
  output_ = std::make_unique<LoopWatch>(loop, std::move(read_end), [this] { read_output(); });
  exit_ = std::make_unique<LoopWatch>(loop, std::move(pid_fd), [this] { ended(); });
}

ChildProcess::~ChildProcess() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void ChildProcess::ask_to_end() noexcept {
  if (pid_ > 0) ::kill(pid_, SIGTERM);
}

void ChildProcess::read_output() {
  std::array<char, 4096> buffer;
  ssize_t count = 0;
  while (output_ && (count = ::read(output_->fd(), buffer.data(), buffer.size())) > 0) {
    for (const char c : std::string_view(buffer.data(), static_cast<std::size_t>(count))) {
      if (c != '\n') {
        if (line_.size() < kLongestLine) line_ += c;
      } else {
        const bool tells = !line_.empty() && line_.find(": warning: ") == std::string::npos;
        if (tells) last_line_ = line_;
        line_.clear();
      }
    }
  }
  if (count == 0) output_.reset();
}

void ChildProcess::ended() {
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return;
  pid_ = -1;
  read_output();
  exit_.reset();
  std::string text = WIFSIGNALED(status)
                         ? fmt::format("was ended by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)))
                         : fmt::format("ended with status {}", WEXITSTATUS(status));
  const std::string& last = line_.empty() ? last_line_ : line_;
  if (!last.empty()) text += ": " + last;
  const auto on_exit = std::move(on_exit_);
  on_exit(text);  // nothing of this is used any more
}

}  // namespace patchbay::tools::qemu
