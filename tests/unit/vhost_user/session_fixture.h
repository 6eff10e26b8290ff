// A port with a session on one end of a socket pair and a front end on the other, in one thread.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "devices/vhost_user/session.h"
#include "devices/vhost_user/vhost_user_port.h"
#include "tests/unit/devices/net_fixture.h"
#include "tests/unit/vhost_user/front_end.h"

namespace patchbay::devices::testing {

inline std::pair<FileDescriptor, FileDescriptor> socket_pair() {
  std::array<int, 2> ends{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    throw std::runtime_error("socketpair");
  }
  return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

struct Connection {
  explicit Connection(const vhost_user::VhostUserConfig& config = {},
                      virtio::FeatureSet features = FrontEnd::kFeatures)
      : Connection(config, features, socket_pair()) {}

  Connection(const vhost_user::VhostUserConfig& config, virtio::FeatureSet features,
             std::pair<FileDescriptor, FileDescriptor> sockets)
      : port("x1:eth1", config),
        session(std::make_unique<vhost_user::Session>(std::move(sockets.first), port)),
        peer(std::move(sockets.second), pump, this, config.queue_pairs, features) {}

  /// The connection is lost, and another one is there.
  void reconnect() {
    session.reset();
    auto sockets = socket_pair();
    session = std::make_unique<vhost_user::Session>(std::move(sockets.first), port);
    peer.use(std::move(sockets.second));
  }

  static void pump(void* self) {
    auto& connection = *static_cast<Connection*>(self);
    if (connection.session == nullptr) return;
    try {
      connection.session->on_readable();
    } catch (const std::runtime_error& error) {
      connection.ended = error.what();
      connection.session.reset();
    }
  }

  std::uint64_t drops_out(vswitch::DropReason reason) const {
    return port.counters.out.dropped[static_cast<std::size_t>(reason)].value();
  }

  vhost_user::VhostUserPort port;
  std::unique_ptr<vhost_user::Session> session;
  FrontEnd peer;
  std::string ended;  // why the session is over
};

/// Hands one frame to a port.
inline std::size_t push_one(vswitch::Port& port, std::span<const std::byte> bytes) {
  static vswitch::FrameView view;
  view = {};
  view.length = static_cast<std::uint32_t>(bytes.size());
  const std::size_t head = std::min(bytes.size(), vswitch::kHeaderBytes);
  std::memcpy(view.header.data(), bytes.data(), head);
  const vswitch::Piece tail = bytes.subspan(head);
  if (!tail.empty()) view.tail = std::span(&tail, 1);
  const vswitch::FrameView* const frames[] = {&view};
  return port.push(frames);
}

}  // namespace patchbay::devices::testing
