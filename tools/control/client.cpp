#include "tools/control/client.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace patchbay::tools::control {

Client::Client(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw std::system_error(ENAMETOOLONG, std::generic_category(), path);
  }
  path.copy(address.sun_path, path.size());
  if (!socket_ ||
      ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::system_error(errno, std::generic_category(), path);
  }
}

Json Client::call(const std::string& verb, const Json& args, std::chrono::milliseconds timeout) {
  const Request request{next_id_++, verb, args};
  const std::string line = format_request(request);
  for (std::size_t sent = 0; sent < line.size();) {
    const ssize_t count = ::send(socket_.get(), line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    // The engine may have refused and closed already: what it said is still there to read.
    if (count < 0) break;
    sent += static_cast<std::size_t>(count);
  }
  return parse_reply(read_line(timeout), request.id);
}

FileDescriptor Client::upgrade(const std::string& verb, const Json& args, Json* result) {
  const Json answer = call(verb, args);
  if (result != nullptr) *result = answer;
  return std::move(socket_);
}

std::string Client::read_line(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::array<char, 65536> chunk;
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd readable{socket_.get(), POLLIN, 0};
    const int ready = ::poll(&readable, 1, static_cast<int>(std::max<long>(left.count(), 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0)
      throw ProtocolError(fmt::format("the engine did not answer within {} ms", timeout.count()));
    // Peek first, so that bytes behind the line stay in the socket for the stream that may follow.
    ssize_t got = ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_PEEK);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw ProtocolError("the engine closed the connection");
    const char* newline =
        static_cast<const char*>(std::memchr(chunk.data(), '\n', static_cast<std::size_t>(got)));
    const std::size_t wanted = newline != nullptr ? static_cast<std::size_t>(newline - chunk.data()) + 1
                                                  : static_cast<std::size_t>(got);
    got = ::recv(socket_.get(), chunk.data(), wanted, 0);
    if (got <= 0) continue;
    received_.append(chunk.data(), static_cast<std::size_t>(got));
    if (received_.size() > kMaxReply) throw ProtocolError("the engine's answer is too long");
    if (received_.back() == '\n') {
      received_.pop_back();
      return std::exchange(received_, {});
    }
  }
}

}  // namespace patchbay::tools::control
