#include "tools/engine/guest_agent.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "tools/engine/agent_relay.h"
#include "tools/engine/guest_setup.h"

namespace patchbay::tools {

namespace {

constexpr auto kCommandTimeout = std::chrono::seconds(60);

}  // namespace

GuestAgent::GuestAgent(boost::asio::io_context& loop, AgentLine& line, const Node& node) : loop_(loop), node_(node) {
  if (std::string setup = guest_setup_script(node); !setup.empty()) commands_.push_back(std::move(setup));
  commands_.insert(commands_.end(), node.exec.begin(), node.exec.end());
  channel_ = std::make_unique<AgentChannel>(loop, line, [this] {
    prepared_ = false;
    failure_.clear();
    prepare(0, ++boot_);
  });
}

GuestAgent::~GuestAgent() {
  ++boot_;  // what the agent's end reports is of no interest any more
}

bool GuestAgent::is_needed() const {
  return !node_.exec.empty() ||
         std::any_of(node_.interfaces.begin(), node_.interfaces.end(), [](const Interface& interface) {
           return !interface.ipv4.empty() || !interface.ipv6.empty();
         });
}

void GuestAgent::prepare(std::size_t index, unsigned boot) {
  if (index == commands_.size()) {
    prepared_ = true;
    return;
  }
  const Command command{{"sh", "-c", commands_[index]}, {node_.env.begin(), node_.env.end()}};
  channel_->run(command, kCommandTimeout, [this, index, boot](const CommandResult& result) {
    if (boot != boot_ || result.status == AgentChannel::kLost) return;
    if (result.status == 0) return prepare(index + 1, boot);
    const bool setup = commands_.size() > node_.exec.size() && index == 0;
    failure_ = fmt::format("{} ended with status {}: {}",
                           setup ? "setting up the interfaces" : "exec '" + commands_[index] + "'", result.status,
                           result.error_output);
  });
}

void GuestAgent::exec(const control::Json& arguments, const EngineNode::Exchange& exchange) {
  Command command;
  command.words = arguments.value("words", std::vector<std::string>());
  if (command.words.empty()) throw control::RequestError("the command is empty");
  if (!is_connected()) throw control::RequestError("no agent answers in the guest");
  for (const auto& [name, value] : node_.env)
    command.environment.emplace_back(name, value);
  exchange->upgrade(control::Json::object(), [this, command](vswitch::FileDescriptor client) {
    try {
      relay_command(loop_, *channel_, command, std::move(client));
    } catch (const std::exception&) {
      // The agent has just gone; the client sees its connection closed.
    }
  });
}

}  // namespace patchbay::tools
