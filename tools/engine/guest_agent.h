// Commands in a guest by its agent: what the lab file has to be done after every boot (interfaces, addresses, the
// `exec` list), and `patchbay exec`.
//
// Threads: everything on the engine's loop.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <vector>

#include "tools/engine/agent_channel.h"
#include "tools/engine/agent_line.h"
#include "tools/engine/engine_node.h"
#include "tools/lab/model.h"

namespace patchbay::tools {

class GuestAgent {
 public:
  /// All of it outlives this.
  GuestAgent(boost::asio::io_context& loop, AgentLine& line, const Node& node);
  ~GuestAgent();
  GuestAgent(const GuestAgent&) = delete;
  GuestAgent& operator=(const GuestAgent&) = delete;

  /// The lab file has something to do for it.
  [[nodiscard]] bool is_needed() const;
  /// An agent listens.
  [[nodiscard]] bool is_connected() const noexcept { return channel_->connected(); }
  /// What has to be done in this boot is done.
  [[nodiscard]] bool has_prepared() const noexcept { return prepared_; }
  /// Why it could not be done; empty: nothing is known to have failed in this boot.
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }

  /// EngineNode::exec(). RequestError if no agent is connected.
  void exec(const control::Json& arguments, const EngineNode::Exchange& exchange);

 private:
  /// Runs the commands from number `index` on.
  void prepare(std::size_t index, unsigned boot);

  boost::asio::io_context& loop_;
  const Node& node_;
  std::vector<std::string> commands_;  // for `sh -c`
  unsigned boot_ = 0;                  // counts the agent's hellos
  bool prepared_ = false;
  std::string failure_;
  std::unique_ptr<AgentChannel> channel_;  // first to go: it calls back
};

}  // namespace patchbay::tools
