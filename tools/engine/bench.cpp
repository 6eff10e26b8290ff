// The answer to `bench`: which link ends, with which addresses and next hops, then the connection belongs to
// a BenchSession.
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>

#include "tools/engine/engine.h"
#include "tools/node/command.h"

namespace patchbay::tools {

using control::Json;
using control::RequestError;

namespace {

constexpr auto kRouteTimeout = std::chrono::seconds(5);

bool contains(const InterfaceAddress& subnet, const IpAddress& address) {
  return subnet.address.family == address.family &&
         network_of(subnet.address, subnet.prefix_length) == network_of(address, subnet.prefix_length);
}

IpAddress ipv4_argument(const std::string& text, const std::string& what) {
  const Parsed<IpAddress> address = parse_ip_address(text);
  const IpAddress* const value = std::get_if<IpAddress>(&address);
  if (value == nullptr || value->family != IpFamily::v4)
    throw RequestError(fmt::format("'{}' is not an IPv4 address ({})", text, what));
  return *value;
}

}  // namespace

IpAddress Engine::next_hop(const Endpoint& from, const InterfaceAddress& address, const IpAddress& to) const {
  if (contains(address, to)) return to;
  const Node& node = lab_.nodes[from.node];
  const Interface& interface = node.interfaces[from.interface];
  const std::string end = node.name + ":" + interface.name;
  const Json facts = nodes_[from.node]->facts();
  if (facts.value("exec", "") == "namespace") {
    // The node's own routing table knows best.
    const vswitch::FileDescriptor process(
        static_cast<int>(::syscall(SYS_pidfd_open, facts.at("pid").get<pid_t>(), 0)));
    const CommandResult result =
        run_in_node(process.get(), {{"ip", "-j", "route", "get", to_string(to), "oif", interface.name}, {}},
                    kRouteTimeout);
    const Json routes = Json::parse(result.output, nullptr, /*allow_exceptions=*/false);
    if (result.status == 0 && routes.is_array() && !routes.empty() && routes[0].contains("gateway"))
      return ipv4_argument(routes[0].at("gateway").get<std::string>(), "gateway of " + node.name);
    throw RequestError(fmt::format("{} has no route to {}", end, to_string(to)),
                       "give the node one, or name the next hop: --via " + end + "=ADDRESS");
  }
  for (const Link& link : lab_.links) {
    for (const auto& [here, there] : {std::pair(link.a, link.z), std::pair(link.z, link.a)}) {
      if (here.node != from.node || here.interface != from.interface) continue;
      for (const InterfaceAddress& candidate : lab_.nodes[there.node].interfaces[there.interface].ipv4) {
        if (contains(address, candidate.address)) return candidate.address;
      }
    }
  }
  throw RequestError(fmt::format("{} has no known next hop towards {}", end, to_string(to)),
                     "name it: --via " + end + "=ADDRESS");
}

void Engine::start_bench(const control::Request& request, const Exchange& exchange) {
  if (bench_) throw RequestError("another benchmark of this lab is running", "wait for it, or end it");
  const Json ends_given = request.args.value("ends", Json::array());
  if (!ends_given.is_array() || ends_given.size() != 2)
    throw RequestError("a benchmark needs two link ends", "such as h1:eth1 h2:eth1");

  std::array<BenchEnd, 2> ends;
  std::array<Endpoint, 2> places;
  std::array<InterfaceAddress, 2> addresses;
  std::array<std::string, 2> via;
  for (std::size_t i = 0; i < 2; ++i) {
    const Json& given = ends_given[i];
    if (!given.is_object()) throw RequestError("'ends' must be a list of objects");
    const auto text = [&](const char* key) {
      if (!given.contains(key)) return std::string();
      if (!given.at(key).is_string()) throw RequestError(fmt::format("'{}' of an end must be text", key));
      return given.at(key).get<std::string>();
    };
    BenchEnd& end = ends[i];
    end.port = text("port");
    via[i] = text("via");
    const std::string node_name = end.port.substr(0, end.port.find(':'));
    const auto node = std::find_if(lab_.nodes.begin(), lab_.nodes.end(),
                                   [&](const Node& n) { return n.name == node_name; });
    if (!switch_->has_port(end.port) || node == lab_.nodes.end()) throw no_link_end(end.port);
    if (impairments_.at(end.port) != Netem{}) {
      throw RequestError(
          fmt::format("what {} sends is impaired, which a generator in its place would not be", end.port),
          fmt::format("patchbay netem reset -n {} -i {}", node_name, end.port.substr(node_name.size() + 1)));
    }
    const std::string interface_name = end.port.substr(node_name.size() + 1);
    const auto interface = std::find_if(node->interfaces.begin(), node->interfaces.end(),
                                        [&](const Interface& n) { return n.name == interface_name; });
    places[i] = {static_cast<std::size_t>(node - lab_.nodes.begin()),
                 static_cast<std::size_t>(interface - node->interfaces.begin())};
    end.mac = interface->mac;
    if (const std::string address = text("address"); !address.empty()) {
      const Parsed<InterfaceAddress> parsed = parse_interface_address(address, IpFamily::v4);
      if (const Fault* const fault = std::get_if<Fault>(&parsed))
        throw RequestError(fmt::format("'{}': {}", address, fault->message), fault->hint);
      addresses[i] = std::get<InterfaceAddress>(parsed);
    } else if (!interface->ipv4.empty()) {
      addresses[i] = interface->ipv4.front();
    } else {
      throw RequestError(fmt::format("the lab file gives {} no IPv4 address", end.port),
                         fmt::format("name one: --address {}=ADDRESS/LENGTH", end.port));
    }
    end.address = addresses[i].address;
  }
  if (ends[0].port == ends[1].port)
    throw RequestError(fmt::format("'{}' is named twice", ends[0].port), "name two link ends");
  for (std::size_t i = 0; i < 2; ++i) {
    ends[i].next_hop = via[i].empty() ? next_hop(places[i], addresses[i], ends[1 - i].address)
                                      : ipv4_argument(via[i], "--via");
  }

  Json described = Json::array();
  for (const BenchEnd& end : ends) {
    described.push_back({{"port", end.port},
                         {"mac", to_string(end.mac)},
                         {"address", to_string(end.address)},
                         {"next_hop", to_string(end.next_hop)}});
  }
  bench_ = std::make_unique<BenchSession>(*switch_, std::move(ends));
  BenchSession* const session = bench_.get();
  const auto forget = [this, session] {
    boost::asio::post(loop_, [this, session] {
      if (bench_.get() == session) bench_.reset();
    });
  };
  // If the client is gone before the connection is handed over, the session ends with this guard.
  const auto started = std::make_shared<bool>(false);
  const std::shared_ptr<void> guard(session, [started, forget](void*) {
    if (!*started) forget();
  });
  exchange->upgrade(Json{{"ends", described}},
                    [session, started, guard, forget](vswitch::FileDescriptor client) {
                      *started = true;
                      session->start(std::move(client), forget);
                    });
}

}  // namespace patchbay::tools
