#include "tools/cli/console_session.h"
#include "tools/cli/lab_selection.h"
#include "tools/cli/verbs.h"

namespace patchbay::tools::cli {

void add_console(CLI::App& program, int& status) {
  auto* verb =
      program.add_subcommand("console", "attach to a virtual machine's serial console (Ctrl-] leaves it)");
  auto* selection = new LabSelection;
  auto* node = new std::string;
  selection->add_options(*verb);
  verb->add_option("node", *node, "virtual machine")->required();
  verb->callback([selection, node, &status] {
    const control::Json found = find_node(selection->connect().call("inspect"), *node);
    if (!found.contains("console")) {
      throw InputError("node '" + *node + "' has no console; a shell in it: patchbay exec --node " + *node +
                       " -- bash");
    }
    ConsoleSession(found.at("console").get<std::string>(), *node + "# ").attach();
    status = 0;
  });
}

}  // namespace patchbay::tools::cli
