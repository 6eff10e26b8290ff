#include "tools/engine/qemu/program.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>

namespace patchbay::tools::qemu {

std::filesystem::path find_program() {
  const auto usable = [](const std::filesystem::path& file) {
    std::error_code ignored;
    return std::filesystem::is_regular_file(file, ignored) && ::access(file.c_str(), X_OK) == 0;
  };
  if (const char* given = std::getenv("PATCHBAY_QEMU")) return usable(given) ? given : std::filesystem::path();
  const char* path = std::getenv("PATH");
  const std::string folders = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
  for (std::size_t begin = 0; begin <= folders.size();) {
    const std::size_t end = std::min(folders.find(':', begin), folders.size());
    const std::filesystem::path file = std::filesystem::path(folders.substr(begin, end - begin)) / kProgram;
    if (file.is_absolute() && usable(file)) return file;
    begin = end + 1;
  }
  return {};
}

}  // namespace patchbay::tools::qemu
