// From a lab file to a validated lab.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/lab/diagnostics.h"
#include "tools/lab/expand.h"
#include "tools/lab/model.h"

namespace patchbay::tools {

enum class PathKind { missing, file, directory, other };
/// Of the file system of this process; a block device is a file.
[[nodiscard]] PathKind host_path_kind(const std::filesystem::path& path);
/// The first KiB of a file, less if it is shorter or cannot be read.
[[nodiscard]] std::string host_file_start(const std::filesystem::path& path);

/// Where variables, startup configurations and images come from; replaceable for tests.
struct Surroundings {
  VariableLookup variable;
  /// The content of a text file; throws std::runtime_error whose text gives the cause ("No such file or
  /// directory").
  std::function<std::string(const std::filesystem::path&)> read_file;
  std::function<PathKind(const std::filesystem::path&)> path_kind = host_path_kind;
  std::function<std::string(const std::filesystem::path&)> file_start = host_file_start;
  /// How a raw disk image starts; throws disk_boot::DiskBootError.
  std::function<disk_boot::DiskBoot(const std::string& image)> disk_boot = disk_boot::find_disk_boot;
};

/// The process's environment and file system. Files larger than a lab file may be are refused.
[[nodiscard]] Surroundings host_surroundings();

struct LoadResult {
  std::optional<Lab> lab;               // nothing if there was an error
  std::vector<Diagnostic> diagnostics;  // errors, warnings and notes, in the file's order
};

/// Reads and validates a lab file. All that is wrong with it is reported, not only the first error. Creates
/// nothing.
[[nodiscard]] LoadResult load_lab(const std::filesystem::path& file,
                                  const Surroundings& surroundings = host_surroundings());

/// The same for text that was read already; `file` is its name in messages and what relative paths start
/// from.
[[nodiscard]] LoadResult parse_lab(std::string_view text, const std::filesystem::path& file,
                                   const Surroundings& surroundings);

}  // namespace patchbay::tools
