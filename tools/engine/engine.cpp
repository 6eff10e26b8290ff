#include "tools/engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <map>
#include <stdexcept>

#include "tools/engine/side_by_side.h"
#include "vswitch/bridge.h"
#include "vswitch/eal.h"
#include "vswitch/wire.h"

namespace patchbay::tools {

using control::Json;
using control::RequestError;

namespace {

// Threads for machines' beginnings and ends. They wait most of the time, so more than there are processors.
constexpr std::size_t kHelpers = 16;

std::string port_name(const Lab& lab, const Endpoint& endpoint) {
  const Node& node = lab.nodes[endpoint.node];
  return node.name + ":" + node.interfaces[endpoint.interface].name;
}

}  // namespace

Engine::Engine(Lab lab, RunDirectory& directory, const EngineOptions& options)
    : lab_(std::move(lab)),
      directory_(directory),
      options_(options),
      factory_(lab_, directory_, options_, loop_),
      impairments_(lab_.name) {
  const auto start = std::chrono::steady_clock::now();
  vswitch::start_eal();
  switch_ = std::make_unique<vswitch::Switch>(options_.workers);
  try {
    create_nodes();
    create_links();
    start_nodes();
    // From here on users can look on: guests may take a while to boot.
    server_ = std::make_unique<control::Server>(
        loop_, directory_.control_socket().string(),
        [this](const control::Request& request, const Exchange& exchange) { handle(request, exchange); });
    wait_until_ready();
  } catch (...) {
    tear_down();
    throw;
  }
  bring_up_time_ =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
}

Engine::~Engine() {
  tear_down();
}

void Engine::tear_down() noexcept {
  server_.reset();
  bench_.reset();
  captures_.clear();
  // Nodes first: their devices must not be in use by vCPUs when the switch lets go of them.
  for_each_node([](EngineNode& node) { node.stop(); });
  if (switch_) switch_->stop();
  switch_.reset();
}

void Engine::create_nodes() {
  nodes_.resize(lab_.nodes.size());
  // Namespaces first: each is a fork, and costs the more the more memory of machines there is.
  for (const bool namespaces : {true, false}) {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if ((lab_.nodes[i].kind == NodeKind::linux) == namespaces) nodes_[i] = factory_.make(lab_.nodes[i]);
    }
  }
}

void Engine::create_links() {
  std::vector<vswitch::Segment*> bridges(lab_.nodes.size(), nullptr);
  for (std::size_t i = 0; i < lab_.nodes.size(); ++i) {
    if (lab_.nodes[i].kind != NodeKind::bridge) continue;
    bridges[i] =
        &switch_->add(std::make_unique<vswitch::Bridge>(lab_.nodes[i].name, vswitch::Bridge::Options{}));
  }
  for (const Link& link : lab_.links) {
    vswitch::Segment* bridge_a = bridges[link.a.node];
    vswitch::Segment* bridge_z = bridges[link.z.node];
    if (bridge_a != nullptr && bridge_z != nullptr) {
      throw std::runtime_error(
          fmt::format("link {} -- {}: two bridges cannot be linked; make them one bridge",
                      port_name(lab_, link.a), port_name(lab_, link.z)));
    }
    vswitch::Segment* segment = bridge_a != nullptr ? bridge_a : bridge_z;
    if (segment == nullptr) {
      segment = &switch_->add(
          std::make_unique<vswitch::Wire>(port_name(lab_, link.a) + " -- " + port_name(lab_, link.z),
                                          vswitch::Wire::Options{.lossless = link.lossless}));
    }
    if (bridge_a == nullptr) switch_->attach(*segment, nodes_[link.a.node]->port(link.a.interface));
    if (bridge_z == nullptr) switch_->attach(*segment, nodes_[link.z.node]->port(link.z.interface));
    if (link.a_to_z != Netem{}) impair(link.a, link.a_to_z);
    if (link.z_to_a != Netem{}) impair(link.z, link.z_to_a);
  }
}

void Engine::for_each_node(const std::function<void(EngineNode&)>& action) {
  std::vector<EngineNode*> independent;
  for (const auto& node : nodes_) {
    if (node && node->is_independent()) independent.push_back(node.get());
  }
  side_by_side(independent.size(), kHelpers, [&](std::size_t i) { action(*independent[i]); });
  for (const auto& node : nodes_) {
    if (node && !node->is_independent()) action(*node);
  }
}

void Engine::start_nodes() {
  for_each_node([](EngineNode& node) { node.start(); });
  for (const auto& node : nodes_)
    if (node) node->open();
}

void Engine::wait_until_ready() {
  for (const auto& node : nodes_) {
    if (node) node->run_startup_commands();
  }
  const auto all_ready = [this] {
    return std::all_of(nodes_.begin(), nodes_.end(),
                       [](const auto& node) { return !node || node->is_ready(); });
  };
  while (!all_ready()) {
    loop_.run_one_for(std::chrono::milliseconds(50));
    if (shut_down_) throw std::runtime_error("the lab was taken down while it came up");
    if (loop_.stopped()) loop_.restart();
  }
}

void Engine::run() {
  boost::asio::signal_set signals(loop_, SIGINT, SIGTERM);
  signals.async_wait([this](const boost::system::error_code& error, int) {
    if (!error) loop_.stop();
  });
  for (;;) {
    try {
      loop_.run();
      return;
    } catch (const std::exception& error) {
      // One request or one node failed in a way nobody thought of: the lab goes on.
      fmt::print(stderr, "the engine goes on after an error: {}\n", error.what());
    }
  }
}

void Engine::handle(const control::Request& request, const Exchange& exchange) {
  if (request.verb == "inspect") {
    exchange->reply(inspect());
  } else if (request.verb == "capture") {
    start_capture(request, exchange);
  } else if (request.verb == "power") {
    power(request, exchange);
  } else if (request.verb == "link") {
    set_link(request, exchange);
  } else if (request.verb == "netem") {
    set_netem(request, exchange);
  } else if (request.verb == "bench") {
    start_bench(request, exchange);
  } else if (request.verb == "shutdown") {
    exchange->reply(Json::object());
    shut_down_ = true;
    boost::asio::post(loop_, [this] { loop_.stop(); });
  } else if (request.verb == "exec") {
    node_for(request).exec(request.args, exchange);
  } else {
    throw RequestError("unknown verb '" + request.verb + "'",
                       "inspect, capture, exec, power, link, netem, bench, shutdown");
  }
}

void Engine::power(const control::Request& request, const Exchange& exchange) {
  static const std::map<std::string, PowerAction> kActions{{"on", PowerAction::on},
                                                           {"off", PowerAction::off},
                                                           {"reset", PowerAction::reset},
                                                           {"pause", PowerAction::pause},
                                                           {"resume", PowerAction::resume}};
  const auto action = kActions.find(control::text_argument(request, "action"));
  if (action == kActions.end()) throw RequestError("unknown power action", "on, off, reset, pause, resume");
  PowerRequest power;
  power.action = action->second;
  power.force = request.args.value("force", false);
  const auto patience = request.args.value("patience_ms", std::int64_t{power.patience.count()});
  power.patience = std::chrono::milliseconds(std::clamp<std::int64_t>(patience, 0, 3'600'000));
  try {
    node_for(request).power(power, exchange);
  } catch (const RequestError& error) {
    throw RequestError(fmt::format("node '{}': {}", control::text_argument(request, "node"), error.what()),
                       error.hint());
  }
}

void Engine::set_link(const control::Request& request, const Exchange& exchange) {
  const std::string end = control::text_argument(request, "end");
  const bool up = request.args.value("up", true);
  require_port(end);
  if (bench_)
    throw RequestError("a measurement is running, which uses the lab's links", "try again when it is done");
  switch_->set_link(end, up);
  // A cut wire is cut for both: each end is told what it sees.
  for (const Link& link : lab_.links) {
    if (end != port_name(lab_, link.a) && end != port_name(lab_, link.z)) continue;
    for (const Endpoint& at : {link.a, link.z}) {
      const std::string port = port_name(lab_, at);
      if (nodes_[at.node] && switch_->has_port(port))
        nodes_[at.node]->set_carrier(at.interface, switch_->carrier(port));
    }
  }
  exchange->reply({{"end", end}, {"link", up ? "up" : "down"}});
}

void Engine::require_port(const std::string& end) const {
  if (!switch_->has_port(end)) throw no_link_end(end);
}

RequestError Engine::no_link_end(const std::string& end) const {
  return RequestError(fmt::format("lab '{}' has no link end '{}'", lab_.name, end),
                      "see the list: patchbay inspect --name " + lab_.name);
}

EngineNode& Engine::node_for(const control::Request& request) {
  const std::string name = control::text_argument(request, "node");
  const Node* node = lab_.find_node(name);
  if (node == nullptr) {
    throw RequestError(fmt::format("lab '{}' has no node '{}'", lab_.name, name),
                       "see the list: patchbay inspect --name " + lab_.name);
  }
  EngineNode* made = nodes_[static_cast<std::size_t>(node - lab_.nodes.data())].get();
  if (made == nullptr) throw RequestError(fmt::format("'{}' is a bridge, a part of the switch", name));
  return *made;
}

void Engine::start_capture(const control::Request& request, const Exchange& exchange) {
  std::vector<std::string> ports;
  std::vector<vswitch::capture::CaptureInterface> interfaces;
  for (const Json& name : request.args.value("ports", Json::array())) {
    if (!name.is_string()) throw RequestError("'ports' must be a list of link ends, such as r1:eth0");
    const auto port = name.get<std::string>();
    require_port(port);
    for (const auto& running : captures_) {
      if (std::find(running->ports().begin(), running->ports().end(), port) != running->ports().end()) {
        throw RequestError(fmt::format("'{}' is being captured already", port),
                           "end the other capture first");
      }
    }
    if (std::find(ports.begin(), ports.end(), port) != ports.end())
      throw RequestError("'" + port + "' is named twice");
    vswitch::capture::CaptureInterface interface;
    interface.name = port;
    interface.description = lab_.name + " " + port;
    interface.worker = switch_->worker_of(port);
    const std::string node = port.substr(0, port.find(':'));
    if (const Node* found = lab_.find_node(node)) {
      if (const Interface* end = found->find_interface(port.substr(node.size() + 1))) {
        interface.mac = end->mac;
        const auto& made = nodes_[static_cast<std::size_t>(found - lab_.nodes.data())];
        interface.hardware = made->hardware(static_cast<std::size_t>(end - found->interfaces.data()));
      }
    }
    ports.push_back(port);
    interfaces.push_back(std::move(interface));
  }
  if (ports.empty()) throw RequestError("no link end to capture", "such as r1:eth0");
  vswitch::capture::CaptureOptions options;
  options.filter = control::text_argument(request, "filter", "");
  options.snaplen = request.args.value("snaplen", 0u);
  options.max_packets = request.args.value("count", std::uint64_t{0});
  std::unique_ptr<CaptureStream> capture;
  try {
    capture = std::make_unique<CaptureStream>(*switch_, ports, std::move(interfaces), std::move(options));
  } catch (const std::exception& error) {
    throw RequestError(error.what());
  }
  CaptureStream* stream = capture.get();
  captures_.push_back(std::move(capture));
  const auto forget = [this, stream] {
    boost::asio::post(loop_, [this, stream] {
      std::erase_if(captures_, [stream](const auto& running) { return running.get() == stream; });
    });
  };
  // If the client is gone before the connection is handed over, the capture ends with this guard.
  const auto started = std::make_shared<bool>(false);
  const std::shared_ptr<void> guard(stream, [started, forget](void*) {
    if (!*started) forget();
  });
  exchange->upgrade(Json{{"ports", ports}}, [stream, started, guard, forget](vswitch::FileDescriptor client) {
    *started = true;
    stream->start(std::move(client), forget);
  });
}

}  // namespace patchbay::tools
