#include "tools/engine/nic.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "devices/net/e1000/e1000.h"
#include "devices/net/virtio_net.h"
#include "devices/virtio/pci_transport.h"

namespace patchbay::tools {

namespace net = devices::net;

NicConfig NicConfig::of(const std::string& node_name, const Interface& interface) {
  NicConfig config;
  config.port_name = node_name + ":" + interface.name;
  config.model = interface.nic;
  config.mac = interface.mac;
  config.mtu = interface.mtu;
  config.queues = interface.queues;
  return config;
}

Nic::Nic(const NicConfig& config) : model_(config.model) {
  if (config.queues != 1 && config.model != NicModel::virtio_net) {
    throw std::runtime_error(fmt::format("{}: {} queue pairs; the card {} has one", config.port_name,
                                         config.queues, to_string(config.model)));
  }
  switch (config.model) {
    case NicModel::virtio_net: {
      net::VirtioNetConfig card;
      card.mac = config.mac;
      card.mtu = static_cast<std::uint16_t>(config.mtu);
      card.queue_size = config.queue_size;
      card.offloads = config.offloads;
      card.packed = config.packed;
      card.queue_pairs = static_cast<std::uint16_t>(config.queues);
      auto device = std::make_shared<net::VirtioNet>(config.port_name, card);
      function_ = std::make_shared<devices::virtio::PciTransport>(*device, net::VirtioNet::kPciClass);
      port_ = std::move(device);
      break;
    }
    case NicModel::e1000: {
      net::E1000Config card;
      card.port_name = config.port_name;
      card.mac = config.mac;
      auto device = std::make_shared<net::E1000>(card);
      function_ = device;
      port_ = std::move(device);
      break;
    }
  }
}

}  // namespace patchbay::tools
