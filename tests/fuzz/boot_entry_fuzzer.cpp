// The texts of boot loaders on disk images: whatever they hold, an entry names a kernel, has no line ends
// that would go to a kernel's command line, and costs no more than its text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "tools/disk_boot/boot_entry.h"

using patchbay::tools::disk_boot::BootEntry;

namespace {

void check(const std::optional<BootEntry>& entry, std::size_t text_bytes) {
  if (!entry) return;
  std::size_t bytes = entry->kernel.size() + entry->options.size();
  for (const auto& initrd : entry->initrds)
    bytes += initrd.size();
  if (entry->options.find('\n') != std::string::npos || bytes > text_bytes) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(patchbay::tools::disk_boot::first_grub_entry(text), size);
  check(patchbay::tools::disk_boot::loader_entry(text), size);
  return 0;
}
