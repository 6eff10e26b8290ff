// An `ethdev` node of the lab: a DPDK device, through which the lab meets interfaces of the host, other DPDK
// programs and pcap files.
#pragma once

#include <memory>

#include "tools/engine/engine_node.h"
#include "tools/lab/model.h"
#include "vswitch/ethdev_port.h"

namespace patchbay::tools {

class EthdevNode final : public EngineNode {
 public:
  /// Makes the device. Throws what EthdevPort throws.
  explicit EthdevNode(const Node& node);

  [[nodiscard]] vswitch::Port& port(std::size_t) override { return *port_; }
  [[nodiscard]] std::string_view hardware(std::size_t) const override { return port_->driver(); }
  void start() override {}
  /// Starts the device. A recording is replayed from here on: hosts are there to receive all of it.
  void open() override;
  void stop() noexcept override {}
  /// "state": "up" with a carrier, else "no carrier".
  [[nodiscard]] control::Json facts() const override;

 private:
  std::string devargs_;
  std::unique_ptr<vswitch::EthdevPort> port_;  // none without a link
};

}  // namespace patchbay::tools
