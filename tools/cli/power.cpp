#include <fmt/format.h>

#include "tools/cli/lab_selection.h"
#include "tools/cli/verbs.h"

namespace patchbay::tools::cli {

void add_power(CLI::App& program, int& status) {
  auto* verb = program.add_subcommand("power", "switch a virtual machine on, off, reset, pause or resume it");
  verb->footer(
      R"(off presses the guest's power button first and pulls the plug after --timeout seconds; --force does it
at once. reset never asks the guest.
Examples:
  patchbay power off r1
  patchbay power on r1
  patchbay power off --force r1)");
  auto* selection = new LabSelection;
  auto* action = new std::string;
  auto* node = new std::string;
  auto* force = new bool(false);
  auto* timeout = new double(10);
  selection->add_options(*verb);
  verb->add_option("action", *action, "on, off, reset, pause or resume")
      ->required()
      ->check(CLI::IsMember({"on", "off", "reset", "pause", "resume"}));
  verb->add_option("node", *node, "virtual machine")->required();
  verb->add_flag("--force", *force, "off: do not ask the guest");
  verb->add_option("--timeout", *timeout, "off: seconds that the guest has to switch itself off")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  verb->callback([selection, action, node, force, timeout, &status] {
    const auto patience = std::chrono::milliseconds(static_cast<std::int64_t>(*timeout * 1000));
    const control::Json result = selection->connect().call(
        "power", {{"action", *action}, {"node", *node}, {"force", *force}, {"patience_ms", patience.count()}},
        patience + std::chrono::seconds(30));
    fmt::print(
        "node {} is {}{}\n", *node, result.at("state").get<std::string>(),
        *action == "off" && !*force && result.at("forced").get<bool>() ? " (it had to be forced)" : "");
    status = 0;
  });
}

}  // namespace patchbay::tools::cli
