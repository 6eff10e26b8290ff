// An `external` node of the lab: a virtual machine of another hypervisor, or a program such as testpmd, that
// the user starts and that brings its cards to the lab over vhost-user, one socket an interface. It comes and
// goes as it likes; what is sent to it meanwhile is dropped and counted as not_ready.
#pragma once

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <memory>
#include <vector>

#include "tools/engine/engine_node.h"
#include "tools/engine/run_directory.h"
#include "tools/engine/vhost_user_nic.h"
#include "tools/lab/model.h"

namespace patchbay::tools {

/// Where the peer of an external node's interface is met.
[[nodiscard]] std::filesystem::path vhost_user_socket(const RunDirectory& directory, const Node& node,
                                                      const Interface& interface);

class ExternalNode final : public EngineNode {
 public:
  /// Makes the sockets; peers may connect at once. `node` outlives it. Throws what VhostUserNic throws.
  ExternalNode(const Node& node, const RunDirectory& directory, boost::asio::io_context& loop);

  [[nodiscard]] vswitch::Port& port(std::size_t index) override { return nics_[index]->port(); }
  [[nodiscard]] std::string_view hardware(std::size_t) const override { return "vhost-user"; }
  /// Its user starts it.
  void start() override {}
  void stop() noexcept override;
  /// "state": "connected" if all interfaces are, else "waiting".
  [[nodiscard]] control::Json facts() const override;
  [[nodiscard]] control::Json interface_facts(std::size_t index) const override {
    return nics_[index]->facts();
  }

 private:
  std::vector<std::unique_ptr<VhostUserNic>> nics_;  // by interface
};

}  // namespace patchbay::tools
