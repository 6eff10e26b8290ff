#include <fmt/format.h>

#include <array>

#include "tools/cli/lab_selection.h"
#include "tools/cli/verbs.h"
#include "tools/lab/netem_settings.h"

namespace patchbay::tools::cli {

namespace {

struct Setting {
  const char* key;  // of lab files and requests
  const char* options;
  const char* help;
};
constexpr std::array<Setting, 7> kSettings{
    {{"delay", "--delay", "on each frame, such as 10ms or 250us"},
     {"jitter", "--jitter", "most that a delay differs from --delay, either way"},
     {"loss", "--loss", "of frames, such as 0.5%"},
     {"reorder", "--reorder", "of frames that are sent at once, past those that are delayed"},
     {"duplicate", "--duplicate", "of frames that are sent twice"},
     {"corrupt", "--corrupt,--corruption", "of frames in which one bit is flipped"},
     {"rate", "--rate", "of the wire, such as 10mbit or 1.5gbit"}}};

struct Arguments {
  LabSelection selection;
  std::string node;
  std::string interface;
  std::array<std::string, kSettings.size()> values;
  std::string format = "table";
};

void add_link_end(CLI::App& verb, Arguments& arguments) {
  arguments.selection.add_options(verb);
  verb.add_option("-n,--node", arguments.node, "node whose sending is meant")->required();
  verb.add_option("-i,--interface", arguments.interface, "its interface")->required();
}

void add_set(CLI::App& netem, int& status) {
  auto* verb = netem.add_subcommand("set", "impair what a node sends on an interface");
  verb->footer(
      R"(What is not named is not impaired, whatever was set before. Frames that the link holds keep the time at
which they are due. The other direction is the other node's: a delay of 10ms at both ends adds 20ms to the
round trip.
Examples:
  patchbay netem set -n h1 -i eth1 --delay 10ms --jitter 2ms --loss 1%
  patchbay netem set -n r1 -i eth0 --rate 10mbit)");
  auto* arguments = new Arguments;
  add_link_end(*verb, *arguments);
  for (std::size_t i = 0; i < kSettings.size(); ++i)
    verb->add_option(kSettings[i].options, arguments->values[i], kSettings[i].help);
  verb->callback([verb, arguments, &status] {
    control::Json values = control::Json::object();
    Netem checked;
    for (std::size_t i = 0; i < kSettings.size(); ++i) {
      const std::string option =
          std::string(kSettings[i].options).substr(0, 2 + std::string(kSettings[i].key).size());
      if (verb->count(option) == 0) continue;
      if (const auto fault = set_netem(checked, kSettings[i].key, arguments->values[i]))
        throw InputError(fmt::format("{}: {}; {}", option, fault->message, fault->hint));
      values[kSettings[i].key] = arguments->values[i];
    }
    if (values.empty())
      throw InputError("no impairment to set, such as --delay 10ms; see patchbay netem set --help");
    const control::Json result =
        arguments->selection.connect().call("netem", {{"action", "set"},
                                                      {"node", arguments->node},
                                                      {"interface", arguments->interface},
                                                      {"values", values}});
    const auto text = result.at("netem").get<std::string>();
    fmt::print("{}:{} sends with {}\n", arguments->node, arguments->interface,
               text.empty() ? "no impairment" : text);
    status = 0;
  });
}

void add_reset(CLI::App& netem, int& status) {
  auto* verb = netem.add_subcommand("reset", "take the impairments of an interface away");
  verb->footer(
      "Frames that the link holds are delivered at once.\nExample: patchbay netem reset -n h1 -i eth1");
  auto* arguments = new Arguments;
  add_link_end(*verb, *arguments);
  verb->callback([arguments, &status] {
    arguments->selection.connect().call(
        "netem", {{"action", "reset"}, {"node", arguments->node}, {"interface", arguments->interface}});
    fmt::print("{}:{} sends with no impairment\n", arguments->node, arguments->interface);
    status = 0;
  });
}

void print_table(const control::Json& listing) {
  fmt::print("{:<14} {:<10} {:>8} {:>8} {:>8} {:>8} {:>9} {:>8} {:>9} {:>6}\n", "node", "interface", "delay",
             "jitter", "loss", "reorder", "duplicate", "corrupt", "rate", "held");
  const auto delay = [](const control::Json& us) {
    const std::chrono::microseconds value(us.get<std::int64_t>());
    return value.count() == 0 ? std::string("-") : format_delay(value);
  };
  const auto percentage = [](const control::Json& percent) {
    return percent.get<double>() > 0 ? format_percentage(percent.get<double>()) : std::string("-");
  };
  for (const auto& at : listing.at("interfaces")) {
    const auto rate = at.at("rate_bits").get<std::uint64_t>();
    fmt::print("{:<14} {:<10} {:>8} {:>8} {:>8} {:>8} {:>9} {:>8} {:>9} {:>6}\n",
               at.at("node").get<std::string>(), at.at("interface").get<std::string>(),
               delay(at.at("delay_us")), delay(at.at("jitter_us")), percentage(at.at("loss_percent")),
               percentage(at.at("reorder_percent")), percentage(at.at("duplicate_percent")),
               percentage(at.at("corrupt_percent")), rate == 0 ? "-" : format_rate(rate),
               at.at("held").get<std::uint64_t>());
  }
}

void add_show(CLI::App& netem, int& status) {
  auto* verb = netem.add_subcommand("show", "list impairments by node and interface");
  verb->footer(
      "held is the number of frames on their way.\nExample: patchbay netem show -n h1 --format json");
  auto* arguments = new Arguments;
  arguments->selection.add_options(*verb);
  verb->add_option("-n,--node", arguments->node, "of this node only");
  verb->add_option("-f,--format", arguments->format, "table or json")
      ->check(CLI::IsMember({"table", "json"}));
  verb->callback([arguments, &status] {
    control::Json request{{"action", "show"}};
    if (!arguments->node.empty()) request["node"] = arguments->node;
    const control::Json listing = arguments->selection.connect().call("netem", request);
    if (arguments->format == "json") {
      fmt::print("{}\n", listing.dump(2));
    } else {
      print_table(listing);
    }
    status = 0;
  });
}

}  // namespace

void add_netem(CLI::App& program, int& status) {
  auto* verb = program.add_subcommand("netem", "impair links: delay, jitter, loss, rate and more");
  verb->require_subcommand(1);
  verb->footer(
      R"(Impairments are those of netem(8) and belong to one direction: what one node sends on one interface. The
jitter is uniform; frames may overtake each other by it, unless there is a rate, which keeps the order. The
rate counts frames from their Ethernet header on, without FCS; 1.5 MB may wait for it. What is dropped is in
`patchbay inspect --counters` as impairment_loss and impairment_queue. Random numbers follow from the names
of lab, node and interface and start anew with each set, so that runs are repeatable. Captures show frames
when they have passed the impairment. Lab files: vars.patchbay.netem of a link.)");
  add_set(*verb, status);
  add_show(*verb, status);
  add_reset(*verb, status);
}

}  // namespace patchbay::tools::cli
