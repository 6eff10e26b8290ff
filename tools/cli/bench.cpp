#include <fmt/format.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <ctime>
#include <fstream>

#include "tools/bench/campaign.h"
#include "tools/bench/engine_runner.h"
#include "tools/cli/deployment.h"
#include "tools/cli/lab_selection.h"
#include "tools/cli/verbs.h"

namespace patchbay::tools::cli {

namespace {

struct BenchArguments {
  LabSelection selection;
  std::vector<std::string> ends;
  std::vector<std::string> addresses, next_hops;  // END=VALUE
  std::string sizes = "64,512,1518";
  unsigned flows = 1;
  bool bidirectional = false;
  unsigned rounds = 5;
  double duration = 1;  // seconds
  std::string json;
};

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

bench::HostFacts host_facts() {
  bench::HostFacts facts;
  facts.patchbay = PATCHBAY_VERSION;
  utsname name{};
  ::uname(&name);
  facts.kernel = fmt::format("{} {}", name.sysname, name.release);
  std::ifstream cpus("/proc/cpuinfo");
  for (std::string line; std::getline(cpus, line);) {
    if (!line.starts_with("model name")) continue;
    facts.cpu = line.substr(std::min(line.size(), line.find(':') + 2));
    break;
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  ::sched_getaffinity(0, sizeof set, &set);
  facts.cpus = static_cast<unsigned>(CPU_COUNT(&set));
  return facts;
}

/// One line that changes on a terminal, lines elsewhere.
class ProgressLine {
 public:
  ProgressLine() : terminal_(::isatty(2) != 0) {}
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void operator()(const std::string& text) {
    fmt::print(stderr, "{}{}{}", terminal_ ? "\r\033[K" : "", text, terminal_ ? "" : "\n");
    shown_ = true;
  }
  void clear() {
    if (terminal_ && std::exchange(shown_, false)) fmt::print(stderr, "\r\033[K");
  }

 private:
  bool terminal_;
  bool shown_ = false;
};

/// "h1:eth1" as it stands; "h1" for a node with one interface.
std::string whole_end(const control::Json& listing, const std::string& end) {
  if (end.find(':') != std::string::npos) return end;
  const control::Json node = find_node(listing, end);
  const auto& interfaces = node.at("interfaces");
  if (interfaces.size() != 1) {
    throw InputError(
        fmt::format("node '{}' has {} interfaces; name one, such as {}:eth1", end, interfaces.size(), end));
  }
  return end + ":" + interfaces.at(0).at("name").get<std::string>();
}

void assign(const std::vector<std::string>& settings, const char* option,
            std::array<bench::EndOptions, 2>& ends, std::string bench::EndOptions::*member) {
  for (const std::string& setting : settings) {
    const std::size_t equals = setting.find('=');
    const auto end = std::find_if(ends.begin(), ends.end(), [&](const bench::EndOptions& candidate) {
      return candidate.port == setting.substr(0, equals);
    });
    if (equals == std::string::npos || end == ends.end()) {
      throw InputError(fmt::format("{} '{}': right is LINK-END=VALUE with one of the link ends {} and {}",
                                   option, setting, ends[0].port, ends[1].port));
    }
    (*end).*member = setting.substr(equals + 1);
  }
}

void write_file(const std::string& path, const std::string& text) {
  if (path == "-") {
    fmt::print("{}", text);
    return;
  }
  std::ofstream file(path, std::ios::trunc);
  file << text;
  file.flush();
  if (!file) throw std::runtime_error("cannot write " + path);
}

bench::CampaignOptions campaign_options(const BenchArguments& arguments) {
  auto mixes = bench::parse_frame_sizes(arguments.sizes);
  if (const auto* const error = std::get_if<bench::FrameMixError>(&mixes))
    throw InputError("--sizes: " + error->message);
  bench::CampaignOptions options;
  options.mixes = std::get<std::vector<bench::FrameMix>>(std::move(mixes));
  options.bidirectional = arguments.bidirectional;
  options.rounds = arguments.rounds;
  options.trial_duration = std::chrono::milliseconds(static_cast<std::int64_t>(arguments.duration * 1000));
  return options;
}

bench::Report run_campaign(const BenchArguments& arguments, const bench::CampaignOptions& options) {
  control::Client client = arguments.selection.connect();
  const control::Json listing = client.call("inspect");
  std::array<bench::EndOptions, 2> ends;
  for (std::size_t i = 0; i < 2; ++i)
    ends[i].port = whole_end(listing, arguments.ends.at(i));
  assign(arguments.addresses, "--address", ends, &bench::EndOptions::address);
  assign(arguments.next_hops, "--via", ends, &bench::EndOptions::via);

  bench::Report report;
  report.lab = listing.at("lab_name").get<std::string>();
  report.file = listing.at("file").get<std::string>();
  report.started = utc_now();
  report.host = host_facts();
  report.flows = arguments.flows;
  report.bidirectional = arguments.bidirectional;
  report.trial_seconds = arguments.duration;
  bench::EngineRunner runner(std::move(client), ends, arguments.flows);
  report.ends = runner.ends();
  ProgressLine progress;
  for (const bench::FrameMix& mix : options.mixes)
    report.mixes.push_back(bench::measure_mix(runner, mix, options, std::ref(progress)));
  return report;
}

int bench_verb(const BenchArguments& arguments) {
  const bench::CampaignOptions options = campaign_options(arguments);
  // A lab that is not up is brought up for the benchmark.
  std::string own_lab;
  if (arguments.selection.name.empty()) {
    const Lab lab = arguments.selection.load();
    if (!RunDirectory(lab.name).engine()) {
      fmt::print(stderr, "lab {} is up after {} ms\n", lab.name, deploy_in_background(lab));
      own_lab = lab.name;
    }
  }
  bench::Report report;
  try {
    report = run_campaign(arguments, options);
  } catch (...) {
    if (!own_lab.empty()) destroy(own_lab);
    throw;
  }
  if (!own_lab.empty()) destroy(own_lab);

  if (!arguments.json.empty()) write_file(arguments.json, bench::to_json(report).dump(2) + "\n");
  if (arguments.json != "-") fmt::print("{}", bench::to_table(report));
  return 0;
}

}  // namespace

void add_bench(CLI::App& program, int& status) {
  auto* verb = program.add_subcommand("bench", "measure throughput between two link ends of a lab");
  verb->footer(
      "A generator and a sink take the place of what is attached at the two link ends, with its MAC and IP "
      "addresses; frames\n"
      "take the way that the lab gives them: wires, bridges, routers. A lab that is not up is brought up "
      "and taken down again.\n"
      "Rates are compared with a reference path (generator, wire, sink on the same worker) measured in "
      "turn with them, so\n"
      "that the ratio says more about the lab than about the machine's mood.\n"
      "Examples:\n"
      "  patchbay bench -t examples/two-lans.clab.yml h1:eth1 h2:eth1\n"
      "  patchbay bench h1 h2 --sizes 64,imix,1518 --bidirectional --json bench.json");
  auto* arguments = new BenchArguments;
  arguments->selection.add_options(*verb);
  verb->add_option("ends", arguments->ends,
                   "two link ends, such as h1:eth1 h2:eth1; a node's name will do if it has one interface")
      ->required()
      ->expected(2);
  verb->add_option("--sizes", arguments->sizes,
                   "frame sizes in bytes with FCS: 64,512 or imix, rfc2544, or a mix such as 64x7+1518")
      ->capture_default_str();
  verb->add_option("--flows", arguments->flows, "flows, which differ by UDP ports")
      ->check(CLI::Range(1U, 1U << 20))
      ->capture_default_str();
  verb->add_flag("--bidirectional", arguments->bidirectional, "send in both directions at once");
  verb->add_option("--rounds", arguments->rounds, "measurements of the maximum receive rate")
      ->check(CLI::Range(1U, 1000U))
      ->capture_default_str();
  verb->add_option("--duration", arguments->duration, "of a trial in seconds")
      ->check(CLI::Range(0.01, 3600.0))
      ->capture_default_str();
  verb->add_option("--address", arguments->addresses,
                   "LINK-END=ADDRESS/LENGTH where the lab file gives none, such as r1:eth0=10.0.1.1/24");
  verb->add_option("--via", arguments->next_hops,
                   "LINK-END=ADDRESS of the next hop; default: the node's route, or the router on the link");
  verb->add_option("--json", arguments->json, "write the whole report here; - for standard output");
  verb->callback([arguments, &status] { status = bench_verb(*arguments); });
}

}  // namespace patchbay::tools::cli
