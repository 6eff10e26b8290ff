#include "vswitch/switch.h"

#include <algorithm>
#include <stdexcept>

#include "vswitch/eal.h"

namespace patchbay::vswitch {

Switch::Switch(unsigned workers) {
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

Segment& Switch::add(std::unique_ptr<Segment> segment) {
  segments_.push_back({std::move(segment), static_cast<unsigned>(segments_.size() % workers_.size())});
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
  Worker& worker = *workers_[home->worker];
  PortIndex index = 0;
  worker.run([&] {
    index = segment.attach(port);
    try {
      worker.add(segment, index);
    } catch (...) {
      segment.detach(index);
      throw;
    }
  });
  ports_.emplace(port.name(), Place{&segment, index, home->worker});
}

void Switch::detach(std::string_view port) {
  const Place at = place(port);
  workers_[at.worker]->run([&] {
    workers_[at.worker]->remove(*at.segment, at.index);
    at.segment->detach(at.index);
  });
  ports_.erase(std::string(port));
}

Port& Switch::replace(Port& port) {
  const Place& at = place(port.name());
  Port* replaced = nullptr;
  workers_[at.worker]->run([&] {
    workers_[at.worker]->remove(*at.segment, at.index);
    replaced = &at.segment->replace(at.index, port);
    workers_[at.worker]->add(*at.segment, at.index);
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
  workers_[at.worker]->run([&] { at.segment->set_tap(at.index, tap); });
}

void Switch::set_link(std::string_view port, bool up) {
  const Place& at = place(port);
  workers_[at.worker]->run([&] {
    // A cut wire takes the carrier from both ends, so every attached port is told what it should see.
    at.segment->set_link(at.index, up);
    for (const PortIndex index : at.segment->attached())
      at.segment->port(index).set_link(at.segment->carrier(index));
  });
}

bool Switch::carrier(std::string_view port) {
  const Place& at = place(port);
  bool up = false;
  workers_[at.worker]->run([&] { up = at.segment->carrier(at.index); });
  return up;
}

std::vector<SegmentSnapshot> Switch::snapshot() {
  std::vector<SegmentSnapshot> result(segments_.size());
  for (unsigned w = 0; w < workers_.size(); ++w) {
    workers_[w]->run([&] {
      for (std::size_t i = 0; i < segments_.size(); ++i) {
        if (segments_[i].worker == w) result[i] = segments_[i].segment->snapshot();
      }
    });
  }
  return result;
}

std::vector<Worker::Stats> Switch::worker_stats() const {
  std::vector<Worker::Stats> result;
  for (const auto& worker : workers_)
    result.push_back(worker->stats());
  return result;
}

void Switch::stop() {
  for (auto& worker : workers_)
    worker->stop();
}

}  // namespace patchbay::vswitch
