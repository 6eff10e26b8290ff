#include "tools/engine/machine_power.h"

#include <boost/asio/steady_timer.hpp>
#include <exception>

namespace patchbay::tools {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPollInterval = std::chrono::milliseconds(20);

}  // namespace

/// A guest that was asked to switch itself off.
struct MachinePower::Waiting {
  Waiting(boost::asio::io_context& loop, Clock::time_point limit, EngineNode::Exchange answer_to,
          std::weak_ptr<bool> owner)
      : timer(loop), deadline(limit), exchange(std::move(answer_to)), alive(std::move(owner)) {}
  boost::asio::steady_timer timer;
  Clock::time_point deadline;
  EngineNode::Exchange exchange;
  std::weak_ptr<bool> alive;
};

void MachinePower::handle(const PowerRequest& request, const EngineNode::Exchange& exchange) {
  try {
    switch (request.action) {
      case PowerAction::on:
        machine_.power_on();
        break;
      case PowerAction::off: {
        const vmm::VmState state = machine_.state();
        // A machine that does not run cannot answer its button.
        if (state == vmm::VmState::running && !request.force && machine_.press_power_button()) {
          return wait_for_off(
              std::make_shared<Waiting>(loop_, Clock::now() + request.patience, exchange, alive_));
        }
        machine_.power_off();
        return answer(exchange, state == vmm::VmState::running || state == vmm::VmState::paused);
      }
      case PowerAction::reset:
        machine_.reset();
        break;
      case PowerAction::pause:
        machine_.pause();
        break;
      case PowerAction::resume:
        machine_.resume();
        break;
    }
  } catch (const std::exception& error) {
    throw control::RequestError(error.what());
  }
  answer(exchange);
}

void MachinePower::wait_for_off(std::shared_ptr<Waiting> waiting) {
  boost::asio::steady_timer& timer = waiting->timer;
  timer.expires_after(kPollInterval);
  timer.async_wait([this, waiting = std::move(waiting)](const boost::system::error_code&) {
    if (waiting->alive.expired()) return;
    const vmm::VmState state = machine_.state();
    if (state != vmm::VmState::running && state != vmm::VmState::paused) return answer(waiting->exchange);
    if (Clock::now() < waiting->deadline) return wait_for_off(waiting);
    machine_.power_off();
    answer(waiting->exchange, true);
  });
}

void MachinePower::answer(const EngineNode::Exchange& exchange, bool forced) {
  exchange->reply({{"state", vmm::to_string(machine_.state())}, {"forced", forced}});
}

}  // namespace patchbay::tools
