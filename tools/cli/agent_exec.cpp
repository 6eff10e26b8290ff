#include "tools/cli/agent_exec.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <string_view>

#include "tools/agent/protocol.h"

namespace patchbay::tools::cli {

using agent::FrameHeader;
using agent::Type;

namespace {

constexpr int kTimedOut = 124;
constexpr std::size_t kPortion = 16 * 1024;

/// The engine's stream of one command.
class GuestStream {
 public:
  GuestStream(control::Client client, const std::string& node, const Command& command)
      : socket_(client.upgrade("exec", {{"node", node}, {"words", command.words}})) {}

  [[nodiscard]] int fd() const noexcept { return socket_.get(); }

  void send(Type type, std::string_view payload) {
    std::string frame(FrameHeader::kBytes, '\0');
    FrameHeader{0, type, static_cast<std::uint32_t>(payload.size())}.encode(frame.data());
    frame.append(payload);
    for (std::size_t at = 0; at < frame.size();) {
      const ssize_t count = ::send(fd(), frame.data() + at, frame.size() - at, MSG_NOSIGNAL);
      if (count <= 0) return;  // the command has ended, as reading will tell
      at += static_cast<std::size_t>(count);
    }
  }
  void send(Type type, std::uint32_t number) {
    send(type, std::string_view(reinterpret_cast<const char*>(&number), sizeof number));
  }

  /// Reads once and calls `take(type, payload)` for every frame that is complete. Throws if the engine went
  /// away.
  template <typename Take>
  void receive(Take take) {
    std::array<char, kPortion> buffer;
    const ssize_t count = ::recv(fd(), buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) return;
    if (count <= 0) throw control::ProtocolError("the command was lost: its node or the engine ended");
    received_.append(buffer.data(), static_cast<std::size_t>(count));
    std::size_t at = 0;
    while (received_.size() - at >= FrameHeader::kBytes) {
      const FrameHeader header = FrameHeader::decode(received_.data() + at);
      if (received_.size() - at - FrameHeader::kBytes < header.length) break;
      take(header.type, std::string_view(received_).substr(at + FrameHeader::kBytes, header.length));
      at += FrameHeader::kBytes + header.length;
    }
    received_.erase(0, at);
  }

 private:
  vswitch::FileDescriptor socket_;
  std::string received_;
};

int status_of(std::string_view payload) {
  std::int32_t status = 0;
  if (payload.size() >= sizeof status) std::memcpy(&status, payload.data(), sizeof status);
  return status;
}

/// SIGINT, SIGTERM and SIGQUIT as something to poll, while it lives.
class Signals {
 public:
  Signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGINT, SIGTERM, SIGQUIT})
      sigaddset(&set, number);
    ::pthread_sigmask(SIG_BLOCK, &set, &before_);
    fd_.reset(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  }
  ~Signals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] std::uint32_t take() const {
    signalfd_siginfo info{};
    return ::read(fd_.get(), &info, sizeof info) == sizeof info ? info.ssi_signo : 0;
  }

 private:
  sigset_t before_{};
  vswitch::FileDescriptor fd_;
};

}  // namespace

int exec_in_guest(control::Client client, const std::string& node, const Command& command) {
  const Signals signals;
  GuestStream stream(std::move(client), node, command);
  std::optional<int> status;
  bool input_open = true;
  while (!status) {
    std::array<pollfd, 3> waits{pollfd{stream.fd(), POLLIN, 0}, pollfd{signals.fd(), POLLIN, 0},
                                pollfd{input_open ? STDIN_FILENO : -1, POLLIN, 0}};
    if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) break;
    if (waits[0].revents != 0) {
      stream.receive([&](Type type, std::string_view payload) {
        if (type == Type::output) vswitch::write_all(STDOUT_FILENO, payload);
        if (type == Type::error_output) vswitch::write_all(STDERR_FILENO, payload);
        if (type != Type::exit) return;
        status = status_of(payload);
        if (payload.size() > sizeof(std::int32_t))
          vswitch::write_all(STDERR_FILENO, std::string(payload.substr(sizeof(std::int32_t))) + "\n");
      });
    }
    if (waits[1].revents != 0) {
      if (const std::uint32_t number = signals.take(); number != 0) stream.send(Type::signal, number);
    }
    if (waits[2].revents != 0) {
      std::array<char, kPortion> buffer;
      const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
      input_open = count > 0;
      stream.send(Type::input,
                  std::string_view(buffer.data(), count > 0 ? static_cast<std::size_t>(count) : 0));
    }
  }
  return status.value_or(1);
}

CommandResult run_in_guest(control::Client client, const std::string& node, const Command& command,
                           std::chrono::milliseconds timeout) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + timeout;
  GuestStream stream(std::move(client), node, command);
  stream.send(Type::input, std::string_view());
  CommandResult result;
  for (bool ended = false; !ended;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd wait{stream.fd(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&wait, 1, static_cast<int>(left.count())) == 0) {
      result.timed_out = true;
      result.status = kTimedOut;
      return result;
    }
    stream.receive([&](Type type, std::string_view payload) {
      if (type == Type::exit) {
        result.status = status_of(payload);
        result.error_output.append(payload.substr(std::min(payload.size(), sizeof(std::int32_t))));
        ended = true;
        return;
      }
      std::string& text = type == Type::output ? result.output : result.error_output;
      text.append(payload.substr(0, kMaxCommandOutput - std::min(kMaxCommandOutput, text.size())));
    });
  }
  return result;
}

}  // namespace patchbay::tools::cli
