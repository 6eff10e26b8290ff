// A network card whose driver lives in another process: a port of the switch and the vhost-user socket
// through which that process brings its rings, served by the engine's loop.
//
// Threads: the one that runs the loop, or any other while the loop does not run.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <optional>
#include <string>

#include "devices/vhost_user/endpoint.h"
#include "devices/vhost_user/vhost_user_port.h"
#include "tools/control/protocol.h"
#include "tools/lab/model.h"

namespace patchbay::tools {

struct VhostUserNicConfig {
  using Role = devices::vhost_user::Endpoint::Role;

  std::string port_name;  // link end, such as "v1:eth0"
  std::string socket;     // path
  Role role = Role::server;
  unsigned mtu = kDefaultMtu;
  unsigned queues = 1;   // queue pairs
  bool offloads = true;  // offer checksums and segmentation, both ways
};

class VhostUserNic {
 public:
  /// Listens, or begins to connect. Throws std::runtime_error or std::system_error with cause and way out.
  VhostUserNic(boost::asio::io_context& loop, const VhostUserNicConfig& config);

  [[nodiscard]] vswitch::Port& port() noexcept { return port_; }
  [[nodiscard]] bool connected() const { return endpoint_ && endpoint_->state().connected; }
  /// For `inspect`: "socket", "mode" ("server" or "client": ours), "connected", "connections", "features"
  /// (names and numbers of those negotiated), "queues" (pairs the peer has started), "memory_mib" (shared),
  /// and "last_error" if there is one.
  [[nodiscard]] control::Json facts() const;
  /// For a peer that is waited for while the loop stands still: the descriptor is readable when serve() has something
  /// to do.
  [[nodiscard]] int service_fd() const noexcept { return endpoint_ ? endpoint_->fd() : -1; }
  void serve() {
    if (endpoint_) endpoint_->handle();
  }
  /// Disconnects and, as the server, removes the socket. The port stays, and drops what it is sent.
  void close() noexcept;

 private:
  void wait();

  devices::vhost_user::VhostUserPort port_;
  std::optional<devices::vhost_user::Endpoint> endpoint_;  // until close()
  boost::asio::posix::stream_descriptor watch_;            // of a duplicate of the endpoint's descriptor
};

}  // namespace patchbay::tools
