#include "tools/engine/impairments.h"

#include <chrono>
#include <thread>

namespace patchbay::tools {

namespace {

using std::chrono::milliseconds;

// For frames to leave that a reset lets go. Longer only where a lossless wire's other end takes none.
constexpr milliseconds kDrain{100}, kLookAgain{1};

vswitch::Impairment to_impairment(const Netem& netem) {
  vswitch::Impairment result;
  result.delay = netem.delay;
  result.jitter = netem.jitter;
  result.loss = netem.loss_percent / 100;
  result.duplicate = netem.duplicate_percent / 100;
  result.reorder = netem.reorder_percent / 100;
  result.corrupt = netem.corrupt_percent / 100;
  result.rate_bits = netem.rate_bits;
  return result;
}

vswitch::Worker& worker_of(vswitch::Switch& vswitch, const std::string& end) {
  return vswitch.worker(vswitch.worker_of(end));
}

}  // namespace

void Impairments::set(vswitch::Switch& vswitch, const LinkEnd& end, vswitch::Port& port, const Netem& netem) {
  const std::string name = end.name();
  auto found = ends_.find(name);
  if (found == ends_.end()) {
    if (netem == Netem{}) return;
    found = ends_.try_emplace(name).first;
  }
  Impaired& impaired = found->second;
  const vswitch::Impairment impairment = to_impairment(netem);
  if (impaired.port) {
    worker_of(vswitch, name).run([&] { impaired.port->configure(impairment); });
  } else {
    impaired.port = std::make_unique<vswitch::ImpairedPort>(
        port, impairment,
        vswitch::ImpairedPort::Options{.seed = vswitch::seed_of({lab_, end.node, end.interface})});
    (void)vswitch.replace(*impaired.port);
  }
  impaired.netem = netem;
  if (netem != Netem{}) return;
  remove_when_empty(vswitch, impaired);
  // A port that is left in place hands on whatever it gets, until it is needed again.
  if (!impaired.port) ends_.erase(found);
}

void Impairments::remove_when_empty(vswitch::Switch& vswitch, Impaired& impaired) {
  const std::string& name = impaired.port->name();
  const auto deadline = std::chrono::steady_clock::now() + kDrain;
  for (;;) {
    std::size_t held = 0;
    worker_of(vswitch, name).run([&] { held = impaired.port->held(); });
    if (held == 0) break;
    if (std::chrono::steady_clock::now() >= deadline) return;
    std::this_thread::sleep_for(kLookAgain);
  }
  // Nothing is impaired, so nothing is held from one burst to the next.
  (void)vswitch.replace(impaired.port->inner());
  impaired.port.reset();
}

Netem Impairments::at(const std::string& end) const {
  const auto found = ends_.find(end);
  return found != ends_.end() ? found->second.netem : Netem{};
}

std::size_t Impairments::held(vswitch::Switch& vswitch, const std::string& end) const {
  const auto found = ends_.find(end);
  if (found == ends_.end() || !found->second.port) return 0;
  std::size_t held = 0;
  worker_of(vswitch, end).run([&] { held = found->second.port->held(); });
  return held;
}

}  // namespace patchbay::tools
