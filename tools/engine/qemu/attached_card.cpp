#include "tools/engine/qemu/attached_card.h"

#include <utility>

namespace patchbay::tools::qemu {

AttachedCard::AttachedCard(boost::asio::io_context& loop, std::string port_name, const Interface& interface,
                           const std::filesystem::path& socket) {
  card_.model = interface.nic;
  card_.mac = interface.mac;
  card_.mtu = interface.mtu;
  card_.queues = interface.queues;
  if (interface.nic != NicModel::virtio_net) {
    datagrams_ = std::make_unique<vswitch::DatagramPort>(std::move(port_name));
    return;
  }
  card_.vhost_user = socket;
  VhostUserNicConfig config;
  config.port_name = std::move(port_name);
  config.socket = socket.string();
  config.mtu = interface.mtu;
  config.queues = interface.queues;
  vhost_user_ = std::make_unique<VhostUserNic>(loop, config);
}

vswitch::Port& AttachedCard::port() const noexcept {
  if (datagrams_) return *datagrams_;
  return vhost_user_->port();
}

const Card& AttachedCard::connect() {
  if (datagrams_) {
    theirs_ = datagrams_->connect();
    card_.datagrams = theirs_.get();
  }
  return card_;
}

void AttachedCard::disconnect() noexcept {
  theirs_.reset();
  if (datagrams_) datagrams_->disconnect();
  // A vhost-user session ends with its socket.
}

}  // namespace patchbay::tools::qemu
