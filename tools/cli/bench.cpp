#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <optional>

#include "tools/bench/campaign.h"
#include "tools/bench/engine_runner.h"
#include "tools/bench/outputs.h"
#include "tools/cli/deployment.h"
#include "tools/cli/lab_selection.h"
#include "tools/cli/verbs.h"
#include "vswitch/host_tuning.h"

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
  bool quick = false;
  double duration_sum = 21;      // seconds, of a search's trials at one load
  double max_search_time = 300;  // seconds
  std::string json;
  std::string output;  // directory for everything
  std::string baseline;
  std::string max_regression = "5%";
  std::vector<std::string> requirements;
  unsigned* workers = nullptr;  // of a lab that the benchmark brings up
};

/// What the run is judged by.
struct Judgement {
  std::vector<bench::Requirement> requirements;
  std::optional<std::vector<bench::Figure>> baseline;
  double max_regression = 0;
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
  facts.cpus = vswitch::usable_cpus();
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
  options.max_search_seconds = arguments.max_search_time;
  if (!arguments.quick) {
    if (arguments.duration_sum < arguments.duration)
      throw InputError("--duration-sum is shorter than --duration; it adds up several trials");
    for (const auto& [name, loss_ratio] : {std::pair("NDR", 0.0), std::pair("PDR", 0.005)}) {
      bench::SearchGoal goal;
      goal.name = name;
      goal.loss_ratio = loss_ratio;
      goal.initial_trial_duration = goal.final_trial_duration = arguments.duration;
      goal.duration_sum = arguments.duration_sum;
      options.goals.push_back(goal);
    }
  }
  return options;
}

Judgement judgement_of(const BenchArguments& arguments) {
  Judgement judgement;
  for (const std::string& text : arguments.requirements) {
    auto requirement = bench::parse_requirement(text);
    if (const auto* const fault = std::get_if<bench::InputFault>(&requirement))
      throw InputError("--require: " + fault->message);
    judgement.requirements.push_back(std::get<bench::Requirement>(std::move(requirement)));
  }
  const auto share = bench::parse_share(arguments.max_regression);
  if (const auto* const fault = std::get_if<bench::InputFault>(&share))
    throw InputError("--max-regression: " + fault->message);
  judgement.max_regression = std::get<double>(share);
  if (!arguments.baseline.empty()) {
    std::ifstream file(arguments.baseline);
    if (!file) throw InputError("--compare: cannot read " + arguments.baseline);
    const auto json = control::Json::parse(file, nullptr, /*allow_exceptions=*/false);
    auto figures = bench::read_figures(json);
    if (const auto* const fault = std::get_if<bench::InputFault>(&figures))
      throw InputError("--compare: " + arguments.baseline + ": " + fault->message);
    judgement.baseline = std::get<std::vector<bench::Figure>>(std::move(figures));
  }
  return judgement;
}

std::vector<bench::Verdict> verdicts_of(const Judgement& judgement, const bench::Report& report) {
  std::vector<bench::Verdict> verdicts;
  for (const bench::Requirement& requirement : judgement.requirements)
    verdicts.push_back(bench::judge(requirement, report));
  if (judgement.baseline) {
    for (bench::Verdict& verdict : bench::compare(report, *judgement.baseline, judgement.max_regression))
      verdicts.push_back(std::move(verdict));
  }
  return verdicts;
}

void write_outputs(const std::filesystem::path& directory, const bench::Report& report,
                   const std::vector<bench::Verdict>& verdicts) {
  const auto write = [&](const char* name, const std::string& text) {
    if (!text.empty()) write_file((directory / name).string(), text);
  };
  write("bench.json", bench::to_json(report).dump(2) + "\n");
  write("bigger-is-better.json", bench::to_action_benchmark(report, true).dump(2) + "\n");
  write("smaller-is-better.json", bench::to_action_benchmark(report, false).dump(2) + "\n");
  write("bencher.json", bench::to_bencher(report).dump(2) + "\n");
  write("junit.xml", bench::to_junit(report, verdicts));
  write("table.txt", bench::to_table(report));
  write("throughput.svg", bench::throughput_svg(report));
  write("latency.svg", bench::latency_svg(report));
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
  const Judgement judgement = judgement_of(arguments);
  if (!arguments.output.empty()) {
    std::error_code error;
    std::filesystem::create_directories(arguments.output, error);
    if (error) throw InputError(fmt::format("--output: {}: {}", arguments.output, error.message()));
  }
  // A lab that is not up is brought up for the benchmark.
  std::string own_lab;
  if (arguments.selection.name.empty()) {
    const Lab lab = arguments.selection.load();
    if (!RunDirectory(lab.name).engine()) {
      fmt::print(stderr, "lab {} is up after {} ms\n", lab.name,
                 deploy_in_background(lab, *arguments.workers));
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
  const std::vector<bench::Verdict> verdicts = verdicts_of(judgement, report);
  if (!arguments.output.empty()) write_outputs(arguments.output, report, verdicts);
  bool passed = true;
  std::FILE* const to = arguments.json == "-" ? stderr : stdout;
  fmt::print(to, "{}", bench::to_table(report));
  for (const bench::Verdict& verdict : verdicts) {
    passed &= verdict.passed;
    fmt::print(to, "{}  {}: {}\n", verdict.passed ? "ok  " : "FAIL", verdict.name, verdict.explanation);
  }
  return passed ? 0 : 1;
}

}  // namespace

void add_bench(CLI::App& program, int& status) {
  auto* verb =
      program.add_subcommand("bench", "measure throughput and latency between two link ends of a lab");
  verb->footer(
      R"(A generator and a sink take the place of what is attached at the two link ends, with its MAC and IP addresses and its
next hop; frames take the way that the lab gives them: wires, bridges, routers. When done, everything is as before. A lab
that is not up is brought up, and taken down again.

For each frame size:
  MRR       frames per second that arrive at full load, whatever is lost; median of --rounds
  of ref.   the same in units of a reference path: generator, wire and sink on the same worker, measured in turn with it.
            It says more about the lab than about the machine's mood: compare this one
  NDR, PDR  highest load with no loss, and with 0.5 % loss, by MLRsearch (RFC 9971)
  latency   at 0, 10, 50 and 90 % of the PDR, 0 being single frames
What the generator could not even send counts as lost in the search. Sizes include the 4 bytes of FCS, as RFC 2544
counts them.

--output writes bench.json (everything, every trial), bigger-is-better.json and smaller-is-better.json (for
github-action-benchmark), bencher.json (Bencher Metric Format), junit.xml (a case for each --require and each compared
figure), table.txt, throughput.svg and latency.svg. Figures are named as in bench.json: '64 B MRR ratio', '64 B NDR',
'imix B latency at 50 % PDR p99'.

Exit status: 0 success, 1 a requirement or the comparison failed or the measurement did, 2 bad input.

Examples:
  patchbay bench --quick -t examples/two-lans.clab.yml h1 h2
  patchbay bench h1:eth1 h2:eth1 --sizes 64,imix,1518 --bidirectional --output results
  patchbay bench --quick h1 h2 --compare baseline.json --max-regression 5% --require '64 B MRR ratio >= 0.05')");
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
  verb->add_flag("--quick", arguments->quick, "maximum receive rate only: no search, no latencies");
  verb->add_option("--duration-sum", arguments->duration_sum,
                   "seconds of trials that decide on one load in the search")
      ->check(CLI::Range(0.01, 36000.0))
      ->capture_default_str();
  verb->add_option("--max-search-time", arguments->max_search_time,
                   "seconds of trials after which the search of one frame size ends as it stands")
      ->check(CLI::Range(0.1, 360000.0))
      ->capture_default_str();
  verb->add_option("--output", arguments->output, "directory for the report in all formats");
  verb->add_option("--compare", arguments->baseline,
                   "bench.json of an earlier run; ratios are compared, rates are not");
  verb->add_option("--max-regression", arguments->max_regression, "share that a ratio may fall by")
      ->capture_default_str();
  verb->add_option("--require", arguments->requirements, "'FIGURE >= NUMBER' or 'FIGURE <= NUMBER'");
  arguments->workers = add_workers_option(*verb);
  verb->add_option("--json", arguments->json, "write the whole report here; - for standard output");
  verb->callback([arguments, &status] { status = bench_verb(*arguments); });
}

}  // namespace patchbay::tools::cli
