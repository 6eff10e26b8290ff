#include "tools/engine/engine.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <fstream>
#include <stdexcept>

#include "tools/node/command.h"
#include "tools/node/interface_setup.h"
#include "vmm/host_probe.h"
#include "vswitch/bridge.h"
#include "vswitch/eal.h"
#include "vswitch/wire.h"

namespace patchbay::tools {

using control::Json;
using control::RequestError;

namespace {

constexpr auto kExecTimeout = std::chrono::seconds(30);

std::string port_name(const Lab& lab, const Endpoint& endpoint) {
  const Node& node = lab.nodes[endpoint.node];
  return node.name + ":" + node.interfaces[endpoint.interface].name;
}

/// Lines of /etc/hosts: every node by the addresses of its interfaces.
void write_hosts(const Lab& lab, const std::filesystem::path& path) {
  std::ofstream hosts(path);
  hosts << "127.0.0.1 localhost\n::1 localhost\n";
  for (const Node& node : lab.nodes) {
    for (const Interface& interface : node.interfaces) {
      for (const auto* addresses : {&interface.ipv4, &interface.ipv6}) {
        for (const InterfaceAddress& address : *addresses) {
          const std::string text = to_string(address);
          hosts << text.substr(0, text.find('/')) << ' ' << node.name << '\n';
        }
      }
    }
  }
}

}  // namespace

std::string missing_for(const Lab& lab, const std::string& kvm_path) {
  if (::geteuid() != 0) return "namespaces and TAP interfaces need root; run the command with sudo";
  const auto router = std::find_if(lab.nodes.begin(), lab.nodes.end(),
                                   [](const Node& node) { return node.kind == NodeKind::router; });
  if (router == lab.nodes.end()) return {};
  const vmm::HostProbe probe = vmm::probe_host(kvm_path);
  if (probe.kind != vmm::HostKind::none) return {};
  return fmt::format(
      "node '{}' is a router VM, which needs KVM: {} (labs of linux and bridge nodes run without)",
      router->name, probe.problem);
}

Engine::Engine(Lab lab, RunDirectory& directory, const EngineOptions& options)
    : lab_(std::move(lab)), directory_(directory) {
  const auto start = std::chrono::steady_clock::now();
  vswitch::start_eal();
  switch_ = std::make_unique<vswitch::Switch>();
  create_nodes(options);
  create_links();
  for (auto& router : router_nodes_) {
    if (router) router->machine().power_on();
  }
  run_exec_lists();
  server_ = std::make_unique<control::Server>(
      loop_, directory_.control_socket().string(),
      [this](const control::Request& request, const Exchange& exchange) { handle(request, exchange); });
  bring_up_time_ =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
}

Engine::~Engine() {
  server_.reset();
  captures_.clear();
  console_watches_.clear();
  // Machines first: their devices must not be in use by vCPUs when the switch lets go of them.
  for (auto& router : router_nodes_) {
    if (router) router->machine().power_off();
  }
  if (switch_) switch_->stop();
  switch_.reset();
}

void Engine::create_nodes(const EngineOptions& options) {
  const std::string hosts = (directory_.path() / "hosts").string();
  write_hosts(lab_, hosts);
  linux_nodes_.resize(lab_.nodes.size());
  router_nodes_.resize(lab_.nodes.size());
  static std::unique_ptr<vmm::KvmSystem> kvm;
  std::shared_ptr<const vmm::ElfImage> image;
  for (std::size_t i = 0; i < lab_.nodes.size(); ++i) {
    const Node& node = lab_.nodes[i];
    if (node.kind == NodeKind::linux) {
      LinuxNodeConfig config{.name = node.name, .hosts_file = hosts, .binds = {}};
      for (const Bind& bind : node.binds)
        config.binds.push_back({bind.source, bind.target, bind.read_only});
      linux_nodes_[i] = std::make_unique<LinuxNode>(config);
      directory_.link_namespace(lab_.full_name(node), linux_nodes_[i]->pid());
    } else if (node.kind == NodeKind::router) {
      if (!kvm) kvm = std::make_unique<vmm::KvmSystem>(options.kvm_path);
      if (!image) image = std::make_shared<vmm::ElfImage>(vmm::ElfImage::load(options.router_image.string()));
      router_nodes_[i] =
          std::make_unique<RouterNode>(*kvm, image, node, directory_.console(node.name).string());
      serve_console(i);
    }
  }
}

void Engine::serve_console(std::size_t index) {
  // The watch holds a duplicate, so that closing it leaves the console's own descriptor alone.
  vmm::ConsoleSocket& console = router_nodes_[index]->console();
  auto watch = std::make_unique<boost::asio::posix::stream_descriptor>(loop_, ::dup(console.poll_fd()));
  auto* descriptor = watch.get();
  console_watches_.push_back(std::move(watch));
  struct Rearm {
    boost::asio::posix::stream_descriptor* descriptor;
    vmm::ConsoleSocket* console;
    void operator()(const boost::system::error_code& error) const {
      if (error) return;
      console->handle();
      descriptor->async_wait(boost::asio::posix::stream_descriptor::wait_read, *this);
    }
  };
  descriptor->async_wait(boost::asio::posix::stream_descriptor::wait_read, Rearm{descriptor, &console});
}

vswitch::Port& Engine::make_port(const Endpoint& endpoint) {
  if (router_nodes_[endpoint.node]) return router_nodes_[endpoint.node]->port(endpoint.interface);
  const Interface& interface = lab_.nodes[endpoint.node].interfaces[endpoint.interface];
  const LinuxNode& node = *linux_nodes_[endpoint.node];
  taps_.push_back(std::make_unique<vswitch::TapPort>(
      vswitch::TapConfig{port_name(lab_, endpoint), interface.name, node.network_namespace()}));
  return *taps_.back();
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
    if (bridge_a == nullptr) switch_->attach(*segment, make_port(link.a));
    if (bridge_z == nullptr) switch_->attach(*segment, make_port(link.z));
  }
  for (std::size_t i = 0; i < lab_.nodes.size(); ++i) {
    if (!linux_nodes_[i]) continue;
    InterfaceSetup setup(linux_nodes_[i]->network_namespace());
    for (const Interface& interface : lab_.nodes[i].interfaces) {
      InterfaceSettings settings{
          .name = interface.name, .mtu = interface.mtu, .mac = to_string(interface.mac), .addresses = {}};
      for (const auto& address : interface.ipv4)
        settings.addresses.push_back(to_string(address));
      for (const auto& address : interface.ipv6)
        settings.addresses.push_back(to_string(address));
      setup.apply(settings);
    }
  }
}

void Engine::run_exec_lists() {
  for (std::size_t i = 0; i < lab_.nodes.size(); ++i) {
    if (!linux_nodes_[i]) continue;
    const Node& node = lab_.nodes[i];
    for (const std::string& command : node.exec) {
      const CommandResult result =
          run_in_node(linux_nodes_[i]->pid_fd(), {{"sh", "-c", command}, {node.env.begin(), node.env.end()}},
                      kExecTimeout);
      if (result.status != 0) {
        throw std::runtime_error(fmt::format("node '{}': exec '{}' ended with status {}: {}", node.name,
                                             command, result.status, result.error_output));
      }
    }
  }
}

void Engine::run() {
  boost::asio::signal_set signals(loop_, SIGINT, SIGTERM);
  signals.async_wait([this](const boost::system::error_code& error, int) {
    if (!error) loop_.stop();
  });
  loop_.run();
}

void Engine::handle(const control::Request& request, const Exchange& exchange) {
  if (request.verb == "inspect") {
    exchange->reply(inspect());
  } else if (request.verb == "capture") {
    start_capture(request, exchange);
  } else if (request.verb == "shutdown") {
    exchange->reply(Json::object());
    boost::asio::post(loop_, [this] { loop_.stop(); });
  } else {
    throw RequestError("unknown verb '" + request.verb + "'", "inspect, capture, shutdown");
  }
}

void Engine::start_capture(const control::Request& request, const Exchange& exchange) {
  std::vector<std::string> ports;
  std::vector<vswitch::capture::CaptureInterface> interfaces;
  for (const Json& name : request.args.value("ports", Json::array())) {
    if (!name.is_string()) throw RequestError("'ports' must be a list of link ends, such as r1:eth0");
    const auto port = name.get<std::string>();
    if (!switch_->has_port(port)) {
      throw RequestError(fmt::format("lab '{}' has no link end '{}'", lab_.name, port),
                         "see the list: patchbay inspect --name " + lab_.name);
    }
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
      const Interface* end = found->find_interface(port.substr(node.size() + 1));
      if (end != nullptr) interface.mac = end->mac;
      interface.hardware = found->kind == NodeKind::linux || end == nullptr ? "tap" : to_string(end->nic);
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
  exchange->upgrade(Json{{"ports", ports}}, [stream, forget](vswitch::FileDescriptor client) {
    stream->start(std::move(client), forget);
  });
}

}  // namespace patchbay::tools
