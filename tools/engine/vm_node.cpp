#include "tools/engine/vm_node.h"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace patchbay::tools {

VmNode::VmNode(std::unique_ptr<GuestMachine> machine, EngineChoice choice, const Node& node,
               boost::asio::io_context& loop)
    : node_(node),
      choice_(std::move(choice)),
      machine_(std::move(machine)),
      power_(loop, machine_->power()),
      agent_(loop, machine_->agent_line(), node) {}

void VmNode::start() {
  machine_->power().power_on();
  deadline_ = Clock::now() + node_.boot->timeout;
}

bool VmNode::is_ready() {
  if (agent_.has_prepared() || (!agent_.is_needed() && machine_->has_started())) return true;
  if (!agent_.failure().empty())
    throw std::runtime_error(fmt::format("node '{}': {}", node_.name, agent_.failure()));
  const vmm::VmStatus status = machine_->power().status();
  if (status.state == vmm::VmState::off || status.state == vmm::VmState::crashed) {
    throw std::runtime_error(
        fmt::format("node '{}' is {} instead of up: {}", node_.name, vmm::to_string(status.state),
                    status.failure.empty() ? "the guest switched itself off" : status.failure));
  }
  if (!agent_.is_needed() || Clock::now() < deadline_) return false;
  throw std::runtime_error(
      fmt::format("node '{}': no patchbay-agent has answered in the guest, which has to set its addresses "
                  "and run its exec list. Put "
                  "the agent into the image, or give the guest more time: config: {{vars: {{patchbay: "
                  "{{boot-timeout: 300s}}}}}}",
                  node_.name));
}

control::Json VmNode::facts() const {
  const vmm::VmStatus status = machine_->power().status();
  control::Json facts{{"state", vmm::to_string(status.state)},
                      {"console", machine_->console_path()},
                      {"exec", "agent"},
                      {"agent", agent_.is_connected()},
                      {"image", node_.boot->kernel.string()},
                      {"cpu", node_.cpu},
                      {"memory_mib", memory_of(node_) >> 20U},
                      {"engine", to_string(choice_.engine)},
                      {"engine_reason", choice_.reason}};
  facts.update(machine_->facts());
  if (!status.failure.empty()) facts["failure"] = status.failure;
  if (!agent_.failure().empty()) facts["failure"] = agent_.failure();
  return facts;
}

void VmNode::exec(const control::Json& arguments, const Exchange& exchange) {
  if (!agent_.is_connected()) {
    const vmm::VmState state = machine_->power().state();
    throw control::RequestError(
        fmt::format("no agent answers in node '{}', which is {}", node_.name, vmm::to_string(state)),
        state == vmm::VmState::running
            ? "it may still be booting; otherwise start patchbay-agent in the guest, or use "
              "its console: patchbay console " +
                  node_.name
            : "patchbay power on " + node_.name);
  }
  agent_.exec(arguments, exchange);
}

}  // namespace patchbay::tools
