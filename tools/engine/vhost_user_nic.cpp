#include "tools/engine/vhost_user_nic.h"

#include "devices/net/feature_names.h"
#include "tools/engine/loop_watch.h"

namespace patchbay::tools {

namespace {

devices::vhost_user::VhostUserConfig port_config(const VhostUserNicConfig& config) {
  devices::vhost_user::VhostUserConfig port;
  port.mtu = static_cast<std::uint16_t>(config.mtu);
  port.queue_pairs = config.queues;
  port.offloads = config.offloads;
  return port;
}

}  // namespace

VhostUserNic::VhostUserNic(boost::asio::io_context& loop, const VhostUserNicConfig& config)
    : port_(config.port_name, port_config(config)),
      endpoint_(std::in_place, config.socket, config.role, port_),
      watch_(loop, duplicate(endpoint_->fd()).release()) {
  wait();
}

void VhostUserNic::wait() {
  watch_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                    [this](const boost::system::error_code& error) {
                      if (error) return;  // closed, and this object may be gone
                      endpoint_->handle();
                      wait();
                    });
}

void VhostUserNic::close() noexcept {
  boost::system::error_code ignored;
  watch_.close(ignored);
  endpoint_.reset();
}

control::Json VhostUserNic::facts() const {
  if (!endpoint_) return {{"connected", false}};
  const devices::vhost_user::Endpoint::State state = endpoint_->state();
  unsigned pairs = 0;
  for (unsigned ring = 0; ring < port_.ring_count(); ring += 2) {
    const bool both = port_.ring_state(ring).size != 0 && port_.ring_state(ring + 1).size != 0;
    if (both && port_.ring_state(ring).enabled) ++pairs;
  }
  control::Json facts{{"socket", endpoint_->path()},
                      {"mode", endpoint_->role() == VhostUserNicConfig::Role::server ? "server" : "client"},
                      {"connected", state.connected},
                      {"connections", state.connections},
                      {"features", devices::net::feature_names(state.features)},
                      {"queues", pairs},
                      {"memory_mib", port_.memory_bytes() >> 20}};
  if (!state.last_error.empty()) facts["last_error"] = state.last_error;
  return facts;
}

}  // namespace patchbay::tools
