// A lab that is up: its nodes, the switch between them, its captures, and the control socket.
//
// Everything runs on one thread, the one that calls run() (nodes die with that thread), except the switch's
// workers, the routers' vCPUs and the writers of captures.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tools/control/server.h"
#include "tools/engine/capture_stream.h"
#include "tools/engine/router_node.h"
#include "tools/engine/run_directory.h"
#include "tools/lab/model.h"
#include "tools/node/linux_node.h"
#include "vswitch/switch.h"
#include "vswitch/tap_port.h"

namespace patchbay::tools {

/// Why this host cannot run the lab, with the way out; empty if it can. Measures, creates nothing.
[[nodiscard]] std::string missing_for(const Lab& lab, const std::string& kvm_path);

struct EngineOptions {
  std::filesystem::path router_image;
  std::string kvm_path = "/dev/kvm";
};

class Engine {
 public:
  /// Brings everything up, or throws and leaves nothing.
  Engine(Lab lab, RunDirectory& directory, const EngineOptions& options);
  /// Takes everything down; the run directory stays with its owner.
  ~Engine();

  /// Serves until SIGINT, SIGTERM or a "shutdown" request.
  void run();
  [[nodiscard]] std::chrono::milliseconds bring_up_time() const noexcept { return bring_up_time_; }

 private:
  using Exchange = std::shared_ptr<control::Exchange>;

  void create_nodes(const EngineOptions& options);
  void create_links();
  void run_exec_lists();
  vswitch::Port& make_port(const Endpoint& endpoint);
  void serve_console(std::size_t index);

  void handle(const control::Request& request, const Exchange& exchange);
  void start_capture(const control::Request& request, const Exchange& exchange);
  [[nodiscard]] control::Json inspect();

  Lab lab_;
  RunDirectory& directory_;
  std::chrono::milliseconds bring_up_time_{0};
  boost::asio::io_context loop_;
  std::vector<std::unique_ptr<LinuxNode>> linux_nodes_;  // by index into lab_.nodes; nullptr for other kinds
  std::vector<std::unique_ptr<RouterNode>> router_nodes_;  // likewise
  std::vector<std::unique_ptr<vswitch::TapPort>> taps_;
  std::vector<std::unique_ptr<boost::asio::posix::stream_descriptor>> console_watches_;
  std::unique_ptr<vswitch::Switch> switch_;
  std::vector<std::unique_ptr<CaptureStream>> captures_;
  std::unique_ptr<control::Server> server_;
};

}  // namespace patchbay::tools
