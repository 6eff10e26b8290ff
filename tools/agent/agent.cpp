// patchbay-agent: runs commands inside a Linux guest for `patchbay exec` and for a lab file's `exec` lists.
// One static program, one thread, no privileges beyond its own; copy it into an image and start it at boot.
//
//   patchbay-agent [PORT]     PORT: a character device or socket; default: the virtio port named
//   patchbay.agent
//
// The protocol is in protocol.h. A host that sends nonsense is treated as gone: the port is opened anew.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "tools/agent/protocol.h"

namespace patchbay::agent {
namespace {

constexpr std::size_t kReadBytes = 16 * 1024;

void close_fd(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

/// A command that runs or whose output has not all been sent.
struct Session {
  std::uint32_t id = 0;
  pid_t pid = -1;
  int input = -1;
  int output[2] = {-1, -1};        // standard output and error
  std::uint32_t window = kWindow;  // bytes we may still send
  std::string pending_input;
  bool input_ended = false;
  bool ended = false;
  std::int32_t status = 0;
};

class Agent {
 public:
  explicit Agent(int port) : port_(port) {}

  /// Until the port closes or the host breaks the rules.
  void run() {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    const int children = ::signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
    const std::uint32_t version = kVersion;
    send(0, Type::hello, &version, sizeof version);
    while (port_open_) {
      wait(children);
      reap();
      for (Session& session : sessions_)
        serve(session);
      finish_sessions();
      flush();
    }
    for (Session& session : sessions_)
      end(session);
    ::close(children);
  }

 private:
  void wait(int children) {
    std::vector<pollfd> waits;
    waits.push_back({port_, static_cast<short>(POLLIN | (out_.empty() ? 0 : POLLOUT)), 0});
    waits.push_back({children, POLLIN, 0});
    for (const Session& session : sessions_) {
      if (session.input >= 0 && !session.pending_input.empty()) waits.push_back({session.input, POLLOUT, 0});
      // Output waits while its window is used up, or ours: then the port is slower than the commands.
      if (session.window == 0 || out_.size() > 4 * kMaxPayload) continue;
      for (const int output : session.output)
        if (output >= 0) waits.push_back({output, POLLIN, 0});
    }
    if (::poll(waits.data(), waits.size(), -1) <= 0) return;
    if ((waits[1].revents & POLLIN) != 0) {
      signalfd_siginfo info;
      while (::read(children, &info, sizeof info) > 0) {
      }
    }
    if ((waits[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) receive();
  }

  void receive() {
    char buffer[kReadBytes];
    const ssize_t count = ::read(port_, buffer, sizeof buffer);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) {
      port_open_ = false;
      return;
    }
    in_.append(buffer, static_cast<std::size_t>(count));
    std::size_t at = 0;
    while (port_open_ && in_.size() - at >= FrameHeader::kBytes) {
      const FrameHeader header = FrameHeader::decode(in_.data() + at);
      if (header.length > kMaxPayload) {
        port_open_ = false;
        return;
      }
      if (in_.size() - at - FrameHeader::kBytes < header.length) break;
      handle(header, in_.data() + at + FrameHeader::kBytes);
      at += FrameHeader::kBytes + header.length;
    }
    in_.erase(0, at);
  }

  Session* find(std::uint32_t id) {
    const auto found = std::find_if(sessions_.begin(), sessions_.end(),
                                    [id](const Session& session) { return session.id == id; });
    return found == sessions_.end() ? nullptr : &*found;
  }

  void handle(const FrameHeader& header, const char* payload) {
    if (header.type == Type::start) return start(header.session, payload, header.length);
    Session* session = find(header.session);
    if (session == nullptr) return;  // it has ended meanwhile
    std::uint32_t number = 0;
    if (header.length >= sizeof number) std::memcpy(&number, payload, sizeof number);
    switch (header.type) {
      case Type::input:
        if (header.length == 0) session->input_ended = true;
        session->pending_input.append(payload, header.length);
        if (session->pending_input.size() > kWindow) port_open_ = false;  // it never gave that much
        break;
      case Type::window:
        session->window += std::min(number, kWindow);
        break;
      case Type::signal:
        if (session->pid > 0 && number < 65) ::kill(-session->pid, static_cast<int>(number));
        break;
      case Type::drop:
        end(*session);
        session->ended = true;
        break;
      default:
        break;
    }
  }

  void start(std::uint32_t id, const char* payload, std::size_t length) {
    std::vector<char*> words;
    std::vector<char*> variables;
    std::string text;
    std::uint16_t counts[2] = {0, 0};
    if (length >= sizeof counts) {
      std::memcpy(counts, payload, sizeof counts);
      text.assign(payload + sizeof counts, length - sizeof counts);
    }
    std::size_t at = 0;
    for (unsigned i = 0; i < unsigned{counts[0]} + counts[1]; ++i) {
      const std::size_t end_of_word = text.find('\0', at);
      if (end_of_word == std::string::npos) return fail(id, "the request to start a command is damaged");
      (i < counts[0] ? words : variables).push_back(text.data() + at);
      at = end_of_word + 1;
    }
    if (words.empty()) return fail(id, "the request to start a command is empty");
    if (find(id) != nullptr || sessions_.size() >= kMaxSessions)
      return fail(id, "too many commands at a time");
    words.push_back(nullptr);
    for (char* variable : variables) {
      if (std::strchr(variable, '=') == nullptr) return fail(id, "an environment variable has no value");
    }
    launch(id, words, variables);
  }

  void launch(std::uint32_t id, const std::vector<char*>& words, const std::vector<char*>& variables) {
    int input[2] = {-1, -1};
    int output[2] = {-1, -1};
    int error_output[2] = {-1, -1};
    int failure[2] = {-1, -1};  // tells why exec failed; closed by an exec that worked
    pid_t pid = -1;
    int cause = 0;
    if (::pipe2(input, O_CLOEXEC) == 0 && ::pipe2(output, O_CLOEXEC) == 0 &&
        ::pipe2(error_output, O_CLOEXEC) == 0 && ::pipe2(failure, O_CLOEXEC) == 0) {
      pid = ::fork();
    }
    if (pid < 0) cause = errno;
    if (pid == 0) {
      ::setsid();  // a group of its own, for signals
      ::dup2(input[0], 0);
      ::dup2(output[1], 1);
      ::dup2(error_output[1], 2);
      sigset_t none;
      sigemptyset(&none);
      ::sigprocmask(SIG_SETMASK, &none, nullptr);
      ::signal(SIGPIPE, SIG_DFL);
      for (char* variable : variables)
        ::putenv(variable);
      ::execvp(words.front(), words.data());
      cause = errno;
      if (::write(failure[1], &cause, sizeof cause) != sizeof cause) ::_exit(126);
      ::_exit(127);
    }
    close_fd(input[0]);
    close_fd(output[1]);
    close_fd(error_output[1]);
    close_fd(failure[1]);
    if (pid > 0 && ::read(failure[0], &cause, sizeof cause) != sizeof cause) cause = 0;
    close_fd(failure[0]);
    if (cause != 0) {
      close_fd(input[1]);
      close_fd(output[0]);
      close_fd(error_output[0]);
      if (pid > 0) ::waitpid(pid, nullptr, 0);
      return fail(id, std::string(words.front()) + ": " + std::strerror(cause));
    }
    Session session;
    session.id = id;
    session.pid = pid;
    session.input = input[1];
    session.output[0] = output[0];
    session.output[1] = error_output[0];
    for (const int fd : {session.input, session.output[0], session.output[1]})
      ::fcntl(fd, F_SETFL, O_NONBLOCK);
    sessions_.push_back(session);
  }

  void fail(std::uint32_t id, const std::string& text) {
    std::string payload(4, '\0');
    const std::int32_t status = 127;
    std::memcpy(payload.data(), &status, sizeof status);
    payload += text;
    send(id, Type::exit, payload.data(), payload.size());
  }

  void reap() {
    int status = 0;
    pid_t pid = 0;
    while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) {
      for (Session& session : sessions_) {
        if (session.pid != pid) continue;
        session.pid = -1;
        session.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      }
    }
  }

  void serve(Session& session) {
    if (session.input >= 0) feed(session);
    for (int i = 0; i < 2; ++i) {
      while (session.output[i] >= 0 && session.window > 0 && out_.size() <= 4 * kMaxPayload) {
        char buffer[kReadBytes];
        const std::size_t wanted = std::min<std::size_t>(sizeof buffer, session.window);
        const ssize_t count = ::read(session.output[i], buffer, wanted);
        if (count > 0) {
          session.window -= static_cast<std::uint32_t>(count);
          send(session.id, i == 0 ? Type::output : Type::error_output, buffer,
               static_cast<std::size_t>(count));
        } else if (count == 0) {
          close_fd(session.output[i]);
        } else {
          // Nothing now. Children of a command that has ended may keep the pipe open for ever (a daemon):
          // what is in it at the command's end is its output.
          if (errno == EAGAIN && session.pid < 0) close_fd(session.output[i]);
          break;
        }
      }
    }
  }

  void feed(Session& session) {
    while (!session.pending_input.empty()) {
      const ssize_t count =
          ::write(session.input, session.pending_input.data(), session.pending_input.size());
      if (count < 0 && errno == EAGAIN) return;
      const std::size_t done = count > 0 ? static_cast<std::size_t>(count) : session.pending_input.size();
      const auto window = static_cast<std::uint32_t>(done);  // also for what nobody will read
      send(session.id, Type::window, &window, sizeof window);
      session.pending_input.erase(0, done);
      if (count < 0) close_fd(session.input);
      if (session.input < 0) return;
    }
    if (session.input_ended) close_fd(session.input);
  }

  void finish_sessions() {
    for (Session& session : sessions_) {
      if (session.ended || session.pid > 0 || session.output[0] >= 0 || session.output[1] >= 0) continue;
      send(session.id, Type::exit, &session.status, sizeof session.status);
      end(session);
      session.ended = true;
    }
    sessions_.erase(
        std::remove_if(sessions_.begin(), sessions_.end(), [](const Session& s) { return s.ended; }),
        sessions_.end());
  }

  static void end(Session& session) {
    if (session.pid > 0) ::kill(-session.pid, SIGKILL);
    close_fd(session.input);
    close_fd(session.output[0]);
    close_fd(session.output[1]);
  }

  void send(std::uint32_t id, Type type, const void* payload, std::size_t length) {
    char header[FrameHeader::kBytes];
    FrameHeader{id, type, static_cast<std::uint32_t>(length)}.encode(header);
    out_.append(header, sizeof header);
    out_.append(static_cast<const char*>(payload), length);
  }

  void flush() {
    while (!out_.empty()) {
      const ssize_t count = ::write(port_, out_.data(), std::min<std::size_t>(out_.size(), kReadBytes));
      if (count <= 0) {
        if (count < 0 && errno != EAGAIN && errno != EINTR) port_open_ = false;
        return;
      }
      out_.erase(0, static_cast<std::size_t>(count));
    }
  }

  int port_;
  bool port_open_ = true;
  std::string in_;
  std::string out_;
  std::vector<Session> sessions_;
};

/// The device of the port with our name, or an empty string.
std::string find_port() {
  const char* const folder = "/sys/class/virtio-ports";
  std::string found;
  DIR* const directory = ::opendir(folder);
  if (directory == nullptr) return found;
  while (const dirent* entry = ::readdir(directory)) {
    char name[64] = {};
    const std::string path = std::string(folder) + "/" + entry->d_name + "/name";
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    const ssize_t count = ::read(fd, name, sizeof name - 1);
    ::close(fd);
    if (count <= 0) continue;
    name[std::strcspn(name, "\n")] = '\0';
    if (std::strcmp(name, kPortName) == 0) found = std::string("/dev/") + entry->d_name;
  }
  ::closedir(directory);
  return found;
}

int serve_for_ever(const char* fixed_port) {
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  ::setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 0);
  ::setenv("HOME", "/root", 0);
  for (;;) {
    const std::string path = fixed_port != nullptr ? fixed_port : find_port();
    const int port = path.empty() ? -1 : ::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (port >= 0) {
      Agent(port).run();
      ::close(port);
    } else if (fixed_port != nullptr) {
      ::fprintf(stderr, "patchbay-agent: cannot open %s: %s\n", fixed_port, std::strerror(errno));
      return 1;
    }
    // The driver may be loaded later, or the host may come back.
    ::poll(nullptr, 0, 200);
  }
}

}  // namespace
}  // namespace patchbay::agent

int main(int argc, char** argv) {
  return patchbay::agent::serve_for_ever(argc > 1 ? argv[1] : nullptr);
}
