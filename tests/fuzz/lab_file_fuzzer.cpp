// Lab files: any text is a lab or has an error with a place in it. The files that it names exist and are
// images of all kinds, by the last character of their names.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "tools/lab/load.h"

using namespace patchbay::tools;

namespace {

std::string start_of(const std::filesystem::path& path) {
  std::string start(1024, '\0');
  const std::string name = path.filename().string();
  switch (name.empty() ? '\0' : name.back()) {
    case 'z':
      start.replace(0x202, 4, "HdrS");
      break;
    case '2':
      start.replace(0, 4, "QFI\xfb");
      break;
    default:
      break;
  }
  return start;
}

Surroundings surroundings() {
  Surroundings files;
  files.variable = [](std::string_view name) -> std::optional<std::string> {
    if (name == "EMPTY") return "";
    if (name == "HOME") return "/root";
    return std::nullopt;
  };
  files.read_file = [](const std::filesystem::path&) {
    return std::string("interface eth1\n ip address 10.0.0.1/24\n");
  };
  files.path_kind = [](const std::filesystem::path& path) {
    return path.has_extension() || path.filename().string().ends_with('z') ? PathKind::file
                                                                           : PathKind::directory;
  };
  files.file_start = start_of;
  files.disk_boot = [](const std::string&) {
    return disk_boot::DiskBoot{{.number = 1, .offset = 0}, {"/vmlinuz", {"/initrd.img"}, "root=/dev/vda1"}};
  };
  return files;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Surroundings files = surroundings();
  const LoadResult result =
      parse_lab({reinterpret_cast<const char*>(data), size}, "/labs/fuzz.clab.yml", files);
  bool has_error = false;
  for (const Diagnostic& diagnostic : result.diagnostics)
    has_error |= diagnostic.severity == Severity::error;
  if (result.lab.has_value() == has_error) std::abort();
  return 0;
}
