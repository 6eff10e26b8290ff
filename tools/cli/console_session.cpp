#include "tools/cli/console_session.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace patchbay::tools::cli {

namespace {

constexpr int kCommandTimeout = 60'000;
constexpr char kEscape = 0x1D;  // Ctrl-]

/// Raw mode while it lives, if standard input is a terminal.
class RawTerminal {
 public:
  RawTerminal() : active_(::tcgetattr(STDIN_FILENO, &saved_) == 0) {
    if (!active_) return;
    termios raw = saved_;
    ::cfmakeraw(&raw);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  ~RawTerminal() {
    if (active_) ::tcsetattr(STDIN_FILENO, TCSANOW, &saved_);
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  [[nodiscard]] bool active() const noexcept { return active_; }

 private:
  termios saved_{};
  bool active_;
};

}  // namespace

ConsoleSession::ConsoleSession(const std::string& socket, std::string prompt)
    : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), prompt_(std::move(prompt)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket.copy(address.sun_path, sizeof address.sun_path - 1);
  if (!socket_ || ::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot connect to the console " + socket);
  }
}

void ConsoleSession::send(const std::string& text) {
  if (::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) {
    throw std::system_error(errno, std::generic_category(), "the console went away");
  }
}

std::string ConsoleSession::read_until_prompt(int timeout_milliseconds) {
  std::string text;
  char buffer[4096];
  for (;;) {
    pollfd wait{socket_.get(), POLLIN, 0};
    if (::poll(&wait, 1, timeout_milliseconds) <= 0)
      throw std::runtime_error("the router did not answer: " + text);
    const ssize_t n = ::recv(socket_.get(), buffer, sizeof buffer, 0);
    if (n <= 0) throw std::runtime_error("the console was closed");
    text.append(buffer, static_cast<std::size_t>(n));
    // The prompt ends the output, unless more comes right behind it (the scroll-back of earlier commands).
    pollfd more{socket_.get(), POLLIN, 0};
    if (text.ends_with(prompt_) && ::poll(&more, 1, 50) == 0) return text;
  }
}

std::string ConsoleSession::run(const std::string& command) {
  (void)read_until_prompt(kCommandTimeout);
  send(command + "\r");
  std::string text = read_until_prompt(kCommandTimeout);
  text.resize(text.size() - prompt_.size());
  // The first line is the echo of the command.
  const std::size_t echo_end = text.find('\n');
  text.erase(0, echo_end == std::string::npos ? text.size() : echo_end + 1);
  std::erase(text, '\r');
  return text;
}

void ConsoleSession::attach() {
  const RawTerminal terminal;
  if (terminal.active()) fmt::print(stderr, "console attached; Ctrl-] leaves it\r\n");
  char buffer[4096];
  bool input_open = true;
  for (;;) {
    pollfd waits[2]{{socket_.get(), POLLIN, 0}, {input_open ? STDIN_FILENO : -1, POLLIN, 0}};
    // After the end of piped input, what is still printed is waited for until it has been quiet for a second.
    if (::poll(waits, 2, input_open ? -1 : 1000) <= 0) return;
    if (waits[0].revents != 0) {
      const ssize_t n = ::recv(socket_.get(), buffer, sizeof buffer, 0);
      if (n <= 0) return;
      fmt::print("{}", std::string_view(buffer, static_cast<std::size_t>(n)));
      std::fflush(stdout);
    }
    if (waits[1].revents != 0) {
      const ssize_t n = ::read(STDIN_FILENO, buffer, sizeof buffer);
      std::string typed(buffer, n > 0 ? static_cast<std::size_t>(n) : 0);
      if (n <= 0) {
        input_open = false;
      } else if (terminal.active() && typed.find(kEscape) != std::string::npos) {
        return;
      } else {
        send(typed);
      }
    }
  }
}

}  // namespace patchbay::tools::cli
