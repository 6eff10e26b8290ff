#include "tools/cli/lab_selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <vector>

#include "tools/lab/load.h"

namespace patchbay::tools::cli {

namespace fs = std::filesystem;

void LabSelection::add_options(CLI::App& verb) {
  auto* by_file =
      verb.add_option("-t,--topo", file, "lab file; default: the only *.clab.yml in this directory");
  verb.add_option("--name", name, "name of a lab that is up, instead of its file")->excludes(by_file);
}

std::string LabSelection::lab_file() const {
  if (!file.empty()) return file;
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(".")) {
    const std::string path = entry.path().filename().string();
    if (path.ends_with(".clab.yml") || path.ends_with(".clab.yaml")) found.push_back(path);
  }
  if (found.size() == 1) return found.front();
  throw InputError(found.empty() ? "no *.clab.yml in this directory; name a lab file: -t FILE"
                                 : "several *.clab.yml in this directory; name one: -t FILE");
}

Lab LabSelection::load() const {
  LoadResult result = load_lab(lab_file());
  std::size_t errors = 0;
  for (const Diagnostic& diagnostic : result.diagnostics) {
    fmt::print(stderr, "{}\n", to_string(diagnostic));
    if (diagnostic.severity == Severity::error) ++errors;
  }
  if (!result.lab)
    throw InputError(fmt::format("{} error{}; nothing was created", errors, errors == 1 ? "" : "s"));
  return std::move(*result.lab);
}

std::string LabSelection::lab_name() const {
  return name.empty() ? load().name : name;
}

control::Client LabSelection::connect() const {
  const std::string lab = lab_name();
  try {
    return control::Client(RunDirectory(lab).control_socket().string());
  } catch (const std::system_error&) {
    throw std::runtime_error(fmt::format("lab '{}' is not up; bring it up: patchbay deploy -t FILE", lab));
  }
}

control::Json find_node(const control::Json& listing, const std::string& node) {
  std::string names;
  for (const auto& entry : listing.at("nodes")) {
    if (entry.at("name") == node) return entry;
    names += (names.empty() ? "" : ", ") + entry.at("name").get<std::string>();
  }
  throw InputError(fmt::format("lab '{}' has no node '{}'; nodes: {}",
                               listing.at("lab_name").get<std::string>(), node, names));
}

}  // namespace patchbay::tools::cli
