// Bringing a lab up and taking it down, as deploy, destroy and test do it.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "tools/lab/model.h"

namespace patchbay::tools::cli {

/// Adds --workers, the threads of the lab's switch. What it returns lives as long as the program.
unsigned* add_workers_option(CLI::App& verb);

/// Starts the lab's engine in the background and waits until the lab is up. Throws if the host cannot run it
/// or if it did not come up; nothing is left then. Returns the engine's account of itself: milliseconds from
/// start to up.
long deploy_in_background(const Lab& lab, unsigned workers);
/// Runs the engine in this process until SIGINT, SIGTERM or a shutdown request.
void deploy_in_foreground(const Lab& lab, unsigned workers);
/// Ends the engine, if it lives, and removes what an engine that was killed left. False if there was nothing.
bool destroy(const std::string& lab);

}  // namespace patchbay::tools::cli
