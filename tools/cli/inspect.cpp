#include <fmt/format.h>

#include <utility>

#include "tools/cli/lab_selection.h"
#include "tools/cli/verbs.h"

namespace patchbay::tools::cli {

namespace {

void print_nodes(const control::Json& listing) {
  fmt::print("{:<14} {:<8} {:<9} {:<10} {:<18} {:<6} {}\n", "node", "kind", "state", "interface", "mac",
             "mtu", "addresses");
  for (const auto& node : listing.at("nodes")) {
    std::string name = node.at("name"), kind = node.at("kind"), state = node.at("state");
    if (node.at("interfaces").empty()) fmt::print("{:<14} {:<8} {:<9}\n", name, kind, state);
    for (const auto& interface : node.at("interfaces")) {
      std::string addresses;
      for (const auto& address : interface.at("addresses"))
        addresses += address.get<std::string>() + " ";
      fmt::print("{:<14} {:<8} {:<9} {:<10} {:<18} {:<6} {}\n", name, kind, state,
                 interface.at("name").get<std::string>(), interface.at("mac").get<std::string>(),
                 interface.at("mtu").get<unsigned>(), addresses);
      name = kind = state = "";
    }
  }
  for (const auto& node : listing.at("nodes")) {
    const std::string name = node.at("name");
    if (node.contains("engine")) {
      fmt::print("{} runs under {}: {}\n", name, node["engine"].get<std::string>(),
                 node.at("engine_reason").get<std::string>());
    }
    if (node.contains("failure")) fmt::print("{}: {}\n", name, node["failure"].get<std::string>());
  }
}

/// External nodes: how each interface stands to its peer.
void print_peers(const control::Json& listing) {
  bool first = true;
  for (const auto& node : listing.at("nodes")) {
    for (const auto& interface : node.at("interfaces")) {
      if (!interface.contains("socket")) continue;
      if (std::exchange(first, false)) {
        fmt::print("\n{:<20} {:<7} {:<9} {:>5} {:>6}  {}\n", "vhost-user", "mode", "peer", "times", "queues",
                   "socket");
      }
      const bool connected = interface.at("connected");
      fmt::print("{:<20} {:<7} {:<9} {:>5} {:>6}  {}\n",
                 node.at("name").get<std::string>() + ":" + interface.at("name").get<std::string>(),
                 interface.at("mode").get<std::string>(), connected ? "connected" : "none",
                 interface.at("connections").get<unsigned>(), interface.at("queues").get<unsigned>(),
                 interface.at("socket").get<std::string>());
      std::string features;
      for (const auto& feature : interface.at("features"))
        features += " " + feature.get<std::string>();
      if (connected) fmt::print("  features:{}\n", features);
      if (interface.contains("last_error"))
        fmt::print("  last error: {}\n", interface.at("last_error").get<std::string>());
    }
  }
}

std::string reasons(const control::Json& drops) {
  std::string text;
  for (const auto& [reason, count] : drops.items())
    text += fmt::format(" {}={}", reason, count.get<std::uint64_t>());
  return text;
}

void print_counters(const control::Json& listing) {
  fmt::print("\n{:<20} {:<5} {:>12} {:>12} {:>12} {:>12}  {}\n", "port", "link", "sent", "forwarded",
             "offered", "delivered", "dropped (in, out)");
  for (const auto& segment : listing.at("segments")) {
    for (const auto& port : segment.at("ports")) {
      const auto& in = port.at("in");
      const auto& out = port.at("out");
      fmt::print("{:<20} {:<5} {:>12} {:>12} {:>12} {:>12} {},{}\n", port.at("name").get<std::string>(),
                 port.at("link").get<std::string>(), in.at("frames").get<std::uint64_t>(),
                 in.at("forwarded").get<std::uint64_t>(), out.at("offered").get<std::uint64_t>(),
                 out.at("delivered").get<std::uint64_t>(), reasons(in.at("dropped")),
                 reasons(out.at("dropped")));
    }
  }
  fmt::print("counters {}\n", listing.at("balanced").get<bool>() ? "balance" : "DO NOT BALANCE");
  for (const auto& sentence : listing.at("imbalances"))
    fmt::print("  {}\n", sentence.get<std::string>());
}

}  // namespace

void add_inspect(CLI::App& program, int& status) {
  auto* verb =
      program.add_subcommand("inspect", "show the nodes, addresses and frame counters of a lab that is up");
  auto* selection = new LabSelection;
  auto* format = new std::string("table");
  auto* counters = new bool(false);
  selection->add_options(*verb);
  verb->add_option("-f,--format", *format, "table or json")->check(CLI::IsMember({"table", "json"}));
  verb->add_flag("--counters", *counters, "frame counters by port, with the reason of every drop");
  verb->callback([selection, format, counters, &status] {
    const control::Json listing = selection->connect().call("inspect");
    if (*format == "json") {
      fmt::print("{}\n", listing.dump(2));
    } else {
      print_nodes(listing);
      print_peers(listing);
      if (*counters) print_counters(listing);
    }
    status = 0;
  });
}

}  // namespace patchbay::tools::cli
