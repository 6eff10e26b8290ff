// Makes the engine's node from the lab's: the one place that knows every kind.
#pragma once

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "tools/engine/engine_node.h"
#include "tools/engine/machine_services.h"
#include "tools/engine/run_directory.h"
#include "tools/lab/model.h"
#include "vmm/elf_image.h"
#include "vmm/kvm.h"

namespace patchbay::tools {

struct EngineOptions {
  std::filesystem::path router_image;
  std::filesystem::path guest_agent;  // may be missing
  std::string kvm_path = "/dev/kvm";
  unsigned workers = 1;  // threads of the switch, up to vswitch::kMaxWorkers
};

class NodeFactory {
 public:
  /// All of it must outlive the factory and its nodes.
  NodeFactory(const Lab& lab, const RunDirectory& directory, const EngineOptions& options,
              boost::asio::io_context& loop);

  /// Throws with cause and way out. nullptr for a kind that is a segment of the switch.
  [[nodiscard]] std::unique_ptr<EngineNode> make(const Node& node);

 private:
  [[nodiscard]] const vmm::KvmSystem& kvm();
  [[nodiscard]] std::unique_ptr<EngineNode> make_vm(const Node& node);

  const Lab& lab_;
  const RunDirectory& directory_;
  const EngineOptions& options_;
  boost::asio::io_context& loop_;
  std::string hosts_file_;
  std::unique_ptr<MachineServices> services_;          // made for the first vm
  std::unique_ptr<vmm::KvmSystem> kvm_;                // opened for the first machine
  std::shared_ptr<const vmm::ElfImage> router_image_;  // read for the first router
};

}  // namespace patchbay::tools
