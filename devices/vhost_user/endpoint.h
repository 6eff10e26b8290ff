// The socket of an external node's interface: listens for a front end, or connects to one that listens, and
// does so again when the peer goes away.
//
// Threads: one control thread, which calls handle() whenever fd() is readable. Never blocks.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "devices/bus.h"
#include "devices/vhost_user/session.h"
#include "devices/vhost_user/vhost_user_port.h"

namespace patchbay::devices::vhost_user {

class Endpoint {
 public:
  enum class Role : std::uint8_t { server, client };
  struct State {
    bool connected = false;
    unsigned connections = 0;  // so far
    FeatureSet features = 0;   // of the guest, while connected
    std::string last_error;  // why the last connection ended or a message was refused; empty: nothing to tell
  };

  /// A server removes a socket that a dead process left at `path` and creates it with mode 0600; a client
  /// keeps trying. Throws std::runtime_error or std::system_error with the cause and the way out. `port` must
  /// outlive the endpoint.
  Endpoint(std::string path, Role role, VhostUserPort& port);
  /// Disconnects; a server removes its socket.
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  [[nodiscard]] int fd() const noexcept { return epoll_.get(); }
  void handle();

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] Role role() const noexcept { return role_; }
  [[nodiscard]] State state() const;

 private:
  void listen();
  void accept();
  void try_to_connect();
  void retry_later();
  void begin(FileDescriptor socket);
  void end(const std::string& why);
  void serve_session();
  void watch(int fd);

  std::string path_;
  Role role_;
  VhostUserPort& port_;
  FileDescriptor epoll_;
  FileDescriptor listener_;  // server
  FileDescriptor timer_;     // client: when to try again
  std::unique_ptr<Session> session_;
  unsigned connections_ = 0;
  std::string last_error_;
};

}  // namespace patchbay::devices::vhost_user
