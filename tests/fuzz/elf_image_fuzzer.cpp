// Any bytes as a kernel image: parsed and loaded into a small guest, or rejected with ImageError.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "vmm/guest_ram.h"
#include "vmm/memory_map.h"
#include "vmm/pvh.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace patchbay::vmm;
  static const GuestRam ram(4 * kMiB, HugePages::never);
  const auto* const bytes = reinterpret_cast<const std::byte*>(data);
  try {
    const ElfImage image = ElfImage::parse(std::vector(bytes, bytes + size), "fuzzed image");
    const std::vector<BootModule> modules{{std::vector(bytes, bytes + size), "module"}};
    (void)load_pvh(image, ram.view(), "command line", modules);
  } catch (const ImageError&) {
  }
  return 0;
}
