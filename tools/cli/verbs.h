// The verbs of the program. Each function adds one verb with its options and help to `program` and, if the
// user chose it, leaves its exit status in `status`.
#pragma once

#include <CLI/CLI.hpp>

namespace patchbay::tools::cli {

void add_bench(CLI::App& program, int& status);
void add_capture(CLI::App& program, int& status);
void add_console(CLI::App& program, int& status);
void add_deploy(CLI::App& program, int& status);
void add_destroy(CLI::App& program, int& status);
void add_doctor(CLI::App& program, int& status);
void add_exec(CLI::App& program, int& status);
void add_graph(CLI::App& program, int& status);
void add_image(CLI::App& program, int& status);
void add_inspect(CLI::App& program, int& status);
void add_link(CLI::App& program, int& status);
void add_netem(CLI::App& program, int& status);
void add_power(CLI::App& program, int& status);
void add_test(CLI::App& program, int& status);

}  // namespace patchbay::tools::cli
