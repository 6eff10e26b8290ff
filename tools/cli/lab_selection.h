// Which lab a verb is about: a lab file (-t), a name (--name), or the only lab file in the current directory.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <stdexcept>
#include <string>

#include "tools/control/client.h"
#include "tools/engine/run_directory.h"
#include "tools/lab/model.h"

namespace patchbay::tools::cli {

/// Bad input: the program ends with status 2.
class InputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct LabSelection {
  std::string file;
  std::string name;

  void add_options(CLI::App& verb);
  /// The lab file to use: -t, or the only *.clab.yml here.
  [[nodiscard]] std::string lab_file() const;
  /// Reads and validates the lab file; prints what is wrong with it and throws InputError.
  [[nodiscard]] Lab load() const;
  /// The lab's name, without reading more than needed.
  [[nodiscard]] std::string lab_name() const;
  /// A connection to the lab's engine; throws std::runtime_error if it is not up.
  [[nodiscard]] control::Client connect() const;
};

/// A node of a running lab, from the engine's listing.
[[nodiscard]] control::Json find_node(const control::Json& listing, const std::string& node);

}  // namespace patchbay::tools::cli
