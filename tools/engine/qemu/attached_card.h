// Our side of a network card that QEMU emulates: a port of the switch, and the socket between it and QEMU. A virtio-net
// card's rings lie in the guest's memory, which QEMU shares over vhost-user; other models send us frames.
//
// Threads: the engine's main thread, but for what Port says.
#pragma once

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "tools/engine/qemu/command_line.h"
#include "tools/engine/vhost_user_nic.h"
#include "tools/lab/model.h"
#include "vswitch/datagram_port.h"

namespace patchbay::tools::qemu {

class AttachedCard {
 public:
  /// A virtio-net card listens at `socket`. Throws std::runtime_error or std::system_error.
  AttachedCard(boost::asio::io_context& loop, std::string port_name, const Interface& interface,
               const std::filesystem::path& socket);

  [[nodiscard]] vswitch::Port& port() const noexcept;
  [[nodiscard]] NicModel model() const noexcept { return card_.model; }

  /// What a QEMU that starts now is told, with the descriptor that it has to be given meanwhile.
  [[nodiscard]] const Card& connect();
  /// QEMU has been started, or will not be: it has its own descriptor.
  void forget_descriptor() noexcept { theirs_.reset(); }
  /// QEMU is gone.
  void disconnect() noexcept;

  /// For a QEMU that is waited for while the loop stands still: readable when serve() has something to do, or negative.
  [[nodiscard]] int service_fd() const noexcept { return vhost_user_ ? vhost_user_->service_fd() : -1; }
  void serve() { vhost_user_->serve(); }

 private:
  Card card_;
  std::unique_ptr<vswitch::DatagramPort> datagrams_;
  vswitch::FileDescriptor theirs_;
  std::unique_ptr<VhostUserNic> vhost_user_;
};

}  // namespace patchbay::tools::qemu
