// A lab that is up: its nodes, the switch between them, its captures, and the control socket.
//
// Everything runs on one thread, the one that calls run() (nodes die with that thread), except the switch's
// workers, the machines' vCPUs and the writers of captures.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tools/control/server.h"
#include "tools/engine/bench_session.h"
#include "tools/engine/capture_stream.h"
#include "tools/engine/engine_node.h"
#include "tools/engine/impairments.h"
#include "tools/engine/node_factory.h"
#include "tools/engine/run_directory.h"
#include "tools/lab/model.h"
#include "vswitch/switch.h"

namespace patchbay::tools {

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

  void create_nodes();
  void create_links();
  void start_nodes();
  void wait_until_ready();
  /// Independent nodes first and side by side, then the others in order.
  void for_each_node(const std::function<void(EngineNode&)>& action);
  void tear_down() noexcept;

  void handle(const control::Request& request, const Exchange& exchange);
  void start_capture(const control::Request& request, const Exchange& exchange);
  /// The node that args.node names; RequestError if it has no life of its own.
  [[nodiscard]] EngineNode& node_for(const control::Request& request);
  void power(const control::Request& request, const Exchange& exchange);
  void set_link(const control::Request& request, const Exchange& exchange);
  void set_netem(const control::Request& request, const Exchange& exchange);
  [[nodiscard]] control::Json show_netem(const std::string& node);
  /// The end that args.node and args.interface name; RequestError if it cannot be impaired.
  [[nodiscard]] Endpoint sender_for(const control::Request& request) const;
  void impair(const Endpoint& sender, const Netem& netem);
  /// For a link end that the lab does not have.
  [[nodiscard]] control::RequestError no_link_end(const std::string& end) const;
  /// Throws it unless the lab has a port of that name.
  void require_port(const std::string& end) const;
  void start_bench(const control::Request& request, const Exchange& exchange);
  [[nodiscard]] IpAddress next_hop(const Endpoint& from, const InterfaceAddress& address,
                                   const IpAddress& to) const;
  [[nodiscard]] control::Json inspect();

  Lab lab_;
  RunDirectory& directory_;
  const EngineOptions options_;
  std::chrono::milliseconds bring_up_time_{0};
  bool shut_down_ = false;
  boost::asio::io_context loop_;
  NodeFactory factory_;
  std::vector<std::unique_ptr<EngineNode>> nodes_;  // by index into lab_.nodes; nullptr for bridges
  Impairments impairments_;
  std::unique_ptr<vswitch::Switch> switch_;
  std::vector<std::unique_ptr<CaptureStream>> captures_;
  std::unique_ptr<BenchSession> bench_;
  std::unique_ptr<control::Server> server_;
};

}  // namespace patchbay::tools
