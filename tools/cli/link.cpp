#include <fmt/format.h>

#include "tools/cli/lab_selection.h"
#include "tools/cli/verbs.h"

namespace patchbay::tools::cli {

void add_link(CLI::App& program, int& status) {
  auto* verb = program.add_subcommand("link", "unplug a cable, or plug it in again");
  verb->footer(
      "down takes the carrier from the link end, and from the other end too where they are joined by a wire; a\n"
      "guest sees it as on a real card (but not on a virtio card under engine qemu, which keeps its carrier). Frames\n"
      "sent meanwhile are dropped as link_down. up undoes it.\n"
      "`patchbay inspect --counters` shows which links are down.\nExamples:\n  patchbay link down r1:eth0\n"
      "  patchbay link up r1:eth0");
  auto* selection = new LabSelection;
  auto* action = new std::string;
  auto* end = new std::string;
  selection->add_options(*verb);
  verb->add_option("action", *action, "down or up")->required()->check(CLI::IsMember({"down", "up"}));
  verb->add_option("end", *end, "link end, such as r1:eth0")->required();
  verb->callback([selection, action, end, &status] {
    const control::Json result = selection->connect().call("link", {{"end", *end}, {"up", *action == "up"}});
    fmt::print("link end {} is {}\n", *end, result.at("link").get<std::string>());
    status = 0;
  });
}

}  // namespace patchbay::tools::cli
