#include "tools/engine/machine_power.h"

#include <boost/asio/steady_timer.hpp>
#include <exception>

namespace patchbay::tools {

using vmm::VmState;

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPollInterval = std::chrono::milliseconds(20);
constexpr auto kPauseLimit = std::chrono::seconds(10);

bool is_on(VmState state) {
  return state == VmState::running || state == VmState::paused;
}

}  // namespace

/// For a state that the machine is on its way to.
struct MachinePower::Waiting {
  boost::asio::steady_timer timer;
  Clock::time_point deadline;
  std::weak_ptr<bool> alive;
  EngineNode::Exchange exchange;
  std::function<bool(VmState)> reached;
  std::function<void()> too_late;
};

void MachinePower::handle(const PowerRequest& request, const EngineNode::Exchange& exchange) {
  const auto wait_for = [&](std::chrono::milliseconds limit, std::function<bool(VmState)> reached,
                            std::function<void()> too_late) {
    wait(std::make_shared<Waiting>(Waiting{boost::asio::steady_timer(loop_), Clock::now() + limit, alive_, exchange,
                                           std::move(reached), std::move(too_late)}));
  };
  const auto no_answer = [exchange] { exchange->fail(control::RequestError("the machine does not react")); };
  try {
    switch (request.action) {
      case PowerAction::on:
        machine_.power_on();
        break;
      case PowerAction::off: {
        const VmState state = machine_.state();
        // A machine that does not run cannot answer its button.
        if (state == VmState::running && !request.force && machine_.press_power_button()) {
          return wait_for(
              request.patience, [](VmState now) { return !is_on(now); },
              [this, exchange] {
                try {
                  machine_.power_off();
                  answer(exchange, true);
                } catch (const std::exception& error) {
                  exchange->fail(control::RequestError(error.what()));
                }
              });
        }
        machine_.power_off();
        return answer(exchange, is_on(state));
      }
      case PowerAction::reset:
        machine_.reset();
        break;
      case PowerAction::pause:
        machine_.pause();
        return wait_for(kPauseLimit, [](VmState now) { return now != VmState::running; }, no_answer);
      case PowerAction::resume:
        machine_.resume();
        return wait_for(kPauseLimit, [](VmState now) { return now != VmState::paused; }, no_answer);
    }
  } catch (const std::exception& error) {
    throw control::RequestError(error.what());
  }
  answer(exchange);
}

void MachinePower::wait(std::shared_ptr<Waiting> waiting) {
  if (waiting->reached(machine_.state())) return answer(waiting->exchange);
  if (Clock::now() >= waiting->deadline) return waiting->too_late();
  boost::asio::steady_timer& timer = waiting->timer;
  timer.expires_after(kPollInterval);
  timer.async_wait([this, waiting = std::move(waiting)](const boost::system::error_code&) {
    if (!waiting->alive.expired()) wait(waiting);
  });
}

void MachinePower::answer(const EngineNode::Exchange& exchange, bool forced) {
  exchange->reply({{"state", vmm::to_string(machine_.state())}, {"forced", forced}});
}

}  // namespace patchbay::tools
