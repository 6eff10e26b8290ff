#include "vswitch/switch.h"

#include <fmt/format.h>

#include <algorithm>
#include <latch>
#include <stdexcept>

#include "vswitch/eal.h"

namespace patchbay::vswitch {

Switch::Switch(unsigned workers) {
  if (workers > kMaxWorkers) {
    throw std::invalid_argument(
        fmt::format("{} workers are too many for a switch; use 1 to {}", workers, kMaxWorkers));
  }
  for (unsigned i = 0; i < std::max(1u, workers); ++i) {
    Worker::Options options;
    options.name = "switch-" + std::to_string(i);
    options.on_start = register_eal_thread;
    options.on_stop = unregister_eal_thread;
    workers_.push_back(std::make_unique<Worker>(std::move(options)));
  }
}

Switch::~Switch() {
  stop();
}

void Switch::change(const std::function<void()>& task) {
  if (stopped_) return task();
  // The others are held first; the first worker then does the work, so that a switch of one needs no more
  // than a task on it.
  struct Hold {
    explicit Hold(std::ptrdiff_t others) : held(others) {}
    std::latch held;
    std::latch over{1};
  };
  const auto hold = std::make_shared<Hold>(static_cast<std::ptrdiff_t>(workers_.size()) - 1);
  for (std::size_t i = 1; i < workers_.size(); ++i) {
    workers_[i]->post([hold] {
      hold->held.count_down();
      hold->over.wait();
    });
  }
  const auto let_go = [](Hold* last) { last->over.count_down(); };
  const std::unique_ptr<Hold, decltype(let_go)> guard(hold.get(), let_go);
  workers_[0]->run([&] {
    hold->held.wait();
    task();
  });
}

Segment& Switch::add(std::unique_ptr<Segment> segment) {
  segments_.push_back({std::move(segment), std::nullopt});
  return *segments_.back().segment;
}

Segment& Switch::add_beside(std::string_view port, std::unique_ptr<Segment> segment) {
  segments_.push_back({std::move(segment), place(port).worker});
  return *segments_.back().segment;
}

void Switch::remove(Segment& segment) {
  std::vector<std::string> names;
  for (const auto& [name, at] : ports_) {
    if (at.segment == &segment) names.push_back(name);
  }
  for (const std::string& name : names)
    detach(name);
  std::erase_if(segments_, [&](const Home& home) { return home.segment.get() == &segment; });
}

void Switch::attach(Segment& segment, Port& port) {
  if (has_port(port.name())) throw std::runtime_error("the switch has a port '" + port.name() + "' already");
  const auto home = std::find_if(segments_.begin(), segments_.end(),
                                 [&](const Home& h) { return h.segment.get() == &segment; });
  if (home == segments_.end())
    throw std::runtime_error("segment '" + segment.name() + "' is not part of this switch");
  Place at{&segment, 0, 0};
  change([&] {
    at.worker = home->worker.value_or(least_busy());
    if (segment.stays_together()) home->worker = at.worker;
    at.index = segment.attach(port);
    try {
      start_sources(at);
    } catch (...) {
      stop_sources(at);
      segment.detach(at.index);
      throw;
    }
  });
  ports_.emplace(port.name(), at);
}

unsigned Switch::least_busy() const noexcept {
  const auto least = std::min_element(workers_.begin(), workers_.end(), [](const auto& a, const auto& b) {
    return a->source_count() < b->source_count();
  });
  return static_cast<unsigned>(least - workers_.begin());
}

void Switch::start_sources(const Place& at) {
  at.segment->port(at.index).set_shared(workers_.size() > 1);
  workers_[at.worker]->add(*at.segment, at.index, 0);
  for (std::size_t source = 1; source < at.segment->port(at.index).source_count(); ++source)
    workers_[least_busy()]->add(*at.segment, at.index, source);
}

void Switch::stop_sources(const Place& at) {
  for (const auto& worker : workers_)
    worker->remove(*at.segment, at.index);
}

void Switch::detach(std::string_view port) {
  const Place at = place(port);
  change([&] {
    stop_sources(at);
    at.segment->detach(at.index);
  });
  ports_.erase(std::string(port));
}

Port& Switch::replace(Port& port) {
  const Place& at = place(port.name());
  Port* replaced = nullptr;
  change([&] {
    stop_sources(at);
    replaced = &at.segment->replace(at.index, port);
    start_sources(at);
  });
  return *replaced;
}

bool Switch::has_port(std::string_view name) const {
  return ports_.contains(std::string(name));
}

unsigned Switch::worker_of(std::string_view port) const {
  return place(port).worker;
}

const Switch::Place& Switch::place(std::string_view port) const {
  const auto found = ports_.find(std::string(port));
  if (found == ports_.end()) throw std::out_of_range("the switch has no port '" + std::string(port) + "'");
  return found->second;
}

void Switch::set_tap(std::string_view port, TapPoint* tap) {
  const Place& at = place(port);
  change([&] { at.segment->set_tap(at.index, tap); });
}

void Switch::set_link(std::string_view port, bool up) {
  const Place& at = place(port);
  change([&] {
    // A cut wire takes the carrier from both ends, so every attached port is told what it should see.
    at.segment->set_link(at.index, up);
    for (const PortIndex index : at.segment->attached())
      at.segment->port(index).set_link(at.segment->carrier(index));
  });
}

bool Switch::carrier(std::string_view port) {
  const Place& at = place(port);
  bool up = false;
  change([&] { up = at.segment->carrier(at.index); });
  return up;
}

std::vector<SegmentSnapshot> Switch::snapshot() {
  std::vector<SegmentSnapshot> result;
  change([&] {
    for (const Home& home : segments_)
      result.push_back(home.segment->snapshot());
  });
  return result;
}

std::vector<Worker::Stats> Switch::worker_stats() const {
  std::vector<Worker::Stats> result;
  for (const auto& worker : workers_)
    result.push_back(worker->stats());
  return result;
}

void Switch::stop() {
  stopped_ = true;
  for (auto& worker : workers_)
    worker->stop();
}

}  // namespace patchbay::vswitch
