#include "tools/control/server.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <set>
#include <utility>

namespace patchbay::tools::control {

using boost::asio::local::stream_protocol;
using boost::system::error_code;

struct Server::State : std::enable_shared_from_this<Server::State> {
  State(boost::asio::io_context& loop, Handler on_request, ServerLimits bounds)
      : acceptor(loop), retry(loop), handler(std::move(on_request)), limits(bounds) {}

  void accept();

  stream_protocol::acceptor acceptor;
  boost::asio::steady_timer retry;
  Handler handler;
  ServerLimits limits;
  std::set<std::shared_ptr<Connection>> connections;
  bool closed = false;
};

/// One client. Strictly alternates: read a line, handle it, write the reply; so at most one request and one
/// reply are held per client.
class Server::Connection : public std::enable_shared_from_this<Server::Connection> {
 public:
  Connection(std::shared_ptr<State> state, stream_protocol::socket socket)
      : state_(std::move(state)), socket_(std::move(socket)) {}

  void read();
  void close() {
    error_code ignored;
    socket_.close(ignored);
    state_->connections.erase(shared_from_this());
  }
  /// Writes a line, then goes on with `next`.
  void write(std::string line, std::function<void()> next);
  /// Gives the socket away.
  FileDescriptor release() {
    FileDescriptor stream(socket_.release());
    state_->connections.erase(shared_from_this());
    return stream;
  }

 private:
  void handle(const std::string& line);

  std::shared_ptr<State> state_;
  stream_protocol::socket socket_;
  std::string received_;
  std::string reply_;
  std::array<char, 4096> chunk_{};
};

class Server::Reply final : public Exchange {
 public:
  Reply(std::weak_ptr<Connection> connection, std::uint64_t id)
      : connection_(std::move(connection)), id_(id) {}
  ~Reply() override { fail(RequestError("the engine gave no answer")); }

  void reply(const Json& result) override { send(format_result(id_, result)); }
  void fail(const RequestError& error) override { send(format_error(id_, error)); }
  void upgrade(const Json& result, std::function<void(FileDescriptor)> take) override {
    const auto connection = std::exchange(connection_, {}).lock();
    if (!connection) return;
    connection->write(format_result(id_, result),
                      [connection, take = std::move(take)] { take(connection->release()); });
  }

 private:
  void send(std::string line) {
    const auto connection = std::exchange(connection_, {}).lock();
    if (!connection) return;
    connection->write(std::move(line), [connection] { connection->read(); });
  }

  std::weak_ptr<Connection> connection_;
  std::uint64_t id_;
};

void Server::Connection::write(std::string line, std::function<void()> next) {
  reply_ = std::move(line);
  boost::asio::async_write(
      socket_, boost::asio::buffer(reply_),
      [self = shared_from_this(), next = std::move(next)](error_code error, std::size_t) {
        if (error) return self->close();
        next();
      });
}

void Server::Connection::read() {
  if (const std::size_t end = received_.find('\n'); end != std::string::npos) {
    const std::string line = received_.substr(0, end);
    received_.erase(0, end + 1);
    return handle(line);
  }
  if (received_.size() > state_->limits.request_bytes) {
    const RequestError error(
        fmt::format("the request is longer than {} bytes", state_->limits.request_bytes));
    return write(format_error(0, error), [self = shared_from_this()] { self->close(); });
  }
  socket_.async_read_some(boost::asio::buffer(chunk_),
                          [self = shared_from_this()](error_code error, std::size_t got) {
                            if (error) return self->close();
                            self->received_.append(self->chunk_.data(), got);
                            self->read();
                          });
}

void Server::Connection::handle(const std::string& line) {
  Request request;
  try {
    request = parse_request(line);
  } catch (const ProtocolError& error) {
    // Who does not speak the protocol once will not the next time.
    return write(format_error(0, RequestError(fmt::format("not a request: {}", error.what()))),
                 [self = shared_from_this()] { self->close(); });
  }
  const auto exchange = std::make_shared<Reply>(weak_from_this(), request.id);
  try {
    state_->handler(request, exchange);
  } catch (const RequestError& error) {
    exchange->fail(error);
  } catch (const std::exception& error) {
    exchange->fail(RequestError(error.what()));
  }
}

void Server::State::accept() {
  acceptor.async_accept([self = shared_from_this()](error_code error, stream_protocol::socket socket) {
    if (self->closed) return;
    if (error) {
      // Out of descriptors: some will be free again later.
      self->retry.expires_after(std::chrono::milliseconds(100));
      self->retry.async_wait([self](error_code cancelled) {
        if (!cancelled && !self->closed) self->accept();
      });
      return;
    }
    if (self->connections.size() >= self->limits.clients) {
      const std::string line =
          format_error(0, RequestError("too many clients of this lab", "try again later"));
      socket.non_blocking(true, error);
      socket.write_some(boost::asio::buffer(line), error);
    } else {
      const auto connection = std::make_shared<Connection>(self, std::move(socket));
      self->connections.insert(connection);
      connection->read();
    }
    self->accept();
  });
}

Server::Server(boost::asio::io_context& loop, const std::string& path, Handler handler, ServerLimits limits)
    : state_(std::make_shared<State>(loop, std::move(handler), limits)) {
  ::unlink(path.c_str());
  state_->acceptor.open(stream_protocol());
  // No moment at which others could connect: the mode is set by bind.
  const mode_t before = ::umask(0177);
  error_code error;
  state_->acceptor.bind(stream_protocol::endpoint(path), error);
  ::umask(before);
  if (error) throw std::system_error(error, "cannot listen at " + path);
  state_->acceptor.listen();
  state_->accept();
}

Server::~Server() {
  state_->closed = true;
  error_code ignored;
  state_->acceptor.close(ignored);
  state_->retry.cancel();
  while (!state_->connections.empty())
    (*state_->connections.begin())->close();
}

std::size_t Server::clients() const noexcept {
  return state_->connections.size();
}

}  // namespace patchbay::tools::control
