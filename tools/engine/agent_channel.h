// The engine's end of a guest's agent (tools/agent/protocol.h): commands as sessions over one line.
//
// Threads: everything on the engine's loop. The guest's side may send anything at any time: what breaks the
// protocol ends the connection, and it never costs more memory than the windows that were granted.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "tools/agent/protocol.h"
#include "tools/engine/agent_line.h"
#include "tools/node/command.h"

namespace patchbay::tools {

/// What becomes of a command. Dropped by the channel after exited().
class AgentSession {
 public:
  virtual ~AgentSession() = default;
  /// Part of its output; the implementation calls AgentChannel::consumed() when it is done with it.
  virtual void output(agent::Type stream, std::string_view bytes) = 0;
  /// The agent takes `bytes` more of input.
  virtual void input_window(std::uint32_t bytes) = 0;
  /// The command ended, could not start (status 127) or was lost with its agent (status 255; `text` says
  /// why).
  virtual void exited(int status, std::string_view text) = 0;
};

class AgentChannel {
 public:
  static constexpr int kLost = 255;

  /// `on_agent` is called when an agent has said hello; the line outlives the channel.
  AgentChannel(boost::asio::io_context& loop, AgentLine& line, std::function<void()> on_agent);
  /// Ends all sessions as lost.
  ~AgentChannel();
  AgentChannel(const AgentChannel&) = delete;
  AgentChannel& operator=(const AgentChannel&) = delete;

  /// An agent listens.
  [[nodiscard]] bool connected() const noexcept { return connected_; }

  /// Starts a command. Returns its session. Throws RequestError if there is no agent or the command is too
  /// long.
  std::uint32_t start(const Command& command, std::shared_ptr<AgentSession> session);
  /// Starts a command and collects its output, without input. `done` is called once, from the loop.
  void run(const Command& command, std::chrono::milliseconds timeout,
           std::function<void(CommandResult)> done);

  /// For sessions; nothing happens if the session has ended.
  void input(std::uint32_t session, std::string_view bytes);
  void signal(std::uint32_t session, std::uint32_t number);
  void consumed(std::uint32_t session, std::uint32_t bytes);
  /// Kills the command; exited() is not called.
  void drop(std::uint32_t session);

 private:
  struct Running {
    std::shared_ptr<AgentSession> session;
    std::uint32_t granted = agent::kWindow;  // bytes of output the agent may still send
  };

  void handle_events();
  void receive();
  /// False if the frame breaks the protocol.
  [[nodiscard]] bool handle(const agent::FrameHeader& header, std::string_view payload);
  void disconnect(std::string_view why);
  void end_sessions(std::string_view why);
  void send(std::uint32_t session, agent::Type type, std::string_view payload);
  void pump();

  boost::asio::io_context& loop_;
  AgentLine& line_;
  std::function<void()> on_agent_;
  bool connected_ = false;
  std::uint64_t opening_ = 0;  // the one whose stream is being read
  bool broken_ = false;        // it sent nonsense: ignored until it opens the line anew
  std::string in_;
  std::string out_;
  std::uint32_t last_session_ = 0;
  std::map<std::uint32_t, Running> sessions_;
};

}  // namespace patchbay::tools
