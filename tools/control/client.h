// The patchbay program's side of a lab's control socket: blocking calls, one at a time.
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "tools/control/protocol.h"
#include "vswitch/file_descriptor.h"

namespace patchbay::tools::control {

using vswitch::FileDescriptor;

class Client {
 public:
  /// Throws std::system_error if nobody listens at `path`.
  explicit Client(const std::string& path);
  /// Goes on over a connection that upgrade() gave away, to one who speaks the same protocol.
  explicit Client(FileDescriptor connection) : socket_(std::move(connection)) {}

  /// Sends a request and returns its result. Throws RequestError for a refusal, ProtocolError if the engine
  /// ends or does not answer within `timeout`.
  Json call(const std::string& verb, const Json& args = Json::object(),
            std::chrono::milliseconds timeout = std::chrono::seconds(30));

  /// Like call(), for verbs that turn the connection into a byte stream: gives the (blocking) socket away.
  FileDescriptor upgrade(const std::string& verb, const Json& args, Json* result = nullptr);

 private:
  std::string read_line(std::chrono::milliseconds timeout);

  FileDescriptor socket_;
  std::string received_;
  std::uint64_t next_id_ = 1;
};

}  // namespace patchbay::tools::control
