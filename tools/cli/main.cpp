// patchbay: virtual network labs out of real virtual machines.
#include <fmt/format.h>

#include <csignal>
#include <exception>

#include "tools/cli/lab_selection.h"
#include "tools/cli/verbs.h"

int main(int argc, char** argv) {
  using namespace patchbay::tools;
  // A reader that goes away shows as EPIPE where it is written to.
  std::signal(SIGPIPE, SIG_IGN);

  CLI::App program("Virtual network labs out of real virtual machines, on one DPDK switch.", "patchbay");
  program.set_version_flag("--version", std::string("patchbay ") + PATCHBAY_VERSION);
  program.require_subcommand(1);
  program.footer(
      "Exit status: 0 success, 1 failure, 2 bad input (command line or lab file).\n"
      "Start: patchbay deploy -t examples/two-lans.clab.yml");
  int status = 0;
  cli::add_deploy(program, status);
  cli::add_destroy(program, status);
  cli::add_inspect(program, status);
  cli::add_exec(program, status);
  cli::add_console(program, status);
  cli::add_power(program, status);
  cli::add_link(program, status);
  cli::add_netem(program, status);
  cli::add_capture(program, status);
  cli::add_graph(program, status);
  cli::add_bench(program, status);
  cli::add_test(program, status);
  cli::add_image(program, status);
  cli::add_doctor(program, status);
  try {
    program.parse(argc, argv);
    return status;
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? 0 : 2;
  } catch (const cli::InputError& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 2;
  } catch (const control::RequestError& error) {
    fmt::print(stderr, "error: {}{}{}\n", error.what(), error.hint().empty() ? "" : "; ", error.hint());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
