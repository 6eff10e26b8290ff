// The engine's side of the control socket. Runs on one Asio loop and never blocks it: a client that is slow,
// silent or hostile costs its own connection and a bounded amount of memory.
//
// Threads: everything, handlers included, runs on the loop's thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "tools/control/protocol.h"
#include "vswitch/file_descriptor.h"

namespace patchbay::tools::control {

using vswitch::FileDescriptor;

/// One request's answer. Exactly one of the calls counts, the first; it may come at any time after the
/// handler has returned. An exchange that is forgotten answers with an error.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual void reply(const Json& result) = 0;
  virtual void fail(const RequestError& error) = 0;
  /// Replies, then hands the connection over as a byte stream (non-blocking). `take` is not called if the
  /// client is gone by then.
  virtual void upgrade(const Json& result, std::function<void(FileDescriptor)> take) = 0;
};

struct ServerLimits {
  std::size_t request_bytes = kMaxRequest;
  std::size_t clients = 64;  // connections that are not upgraded
};

class Server {
 public:
  /// Called for each request. RequestError (and any other exception) becomes the reply.
  using Handler = std::function<void(const Request&, std::shared_ptr<Exchange>)>;

  /// Listens at `path` with mode 0600, replacing what is there. Throws std::system_error.
  Server(boost::asio::io_context& loop, const std::string& path, Handler handler, ServerLimits limits = {});
  /// Closes all connections that were not upgraded. The file stays.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] std::size_t clients() const noexcept;

 private:
  struct State;
  class Connection;
  class Reply;
  std::shared_ptr<State> state_;
};

}  // namespace patchbay::tools::control
