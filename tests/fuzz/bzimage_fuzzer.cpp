// Any bytes as a Linux kernel: unpacked and parsed, or rejected with ImageError. The first byte chooses between the
// whole file and a bzImage header put in front of the bytes, so that the decoders are reached.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "vmm/kernel/decompress.h"
#include "vmm/kernel/linux_image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace patchbay::vmm;
  if (size == 0) return 0;
  const auto* const bytes = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> file(bytes + 1, bytes + size);
  if ((data[0] & 1) != 0) {
    constexpr std::size_t kPayload = 1024;
    std::vector<std::byte> image(kPayload);
    const auto put = [&](std::size_t offset, auto value) { std::memcpy(image.data() + offset, &value, sizeof value); };
    put(0x1F1, std::uint8_t{1});
    put(0x1FE, std::uint16_t{0xAA55});
    put(0x202, std::uint32_t{0x5372'6448});
    put(0x206, std::uint16_t{0x020F});
    put(0x24C, static_cast<std::uint32_t>(file.size()));
    image.insert(image.end(), file.begin(), file.end());
    if (file.size() >= 4) {  // a size that is worth the time
      std::uint32_t unpacked;
      std::memcpy(&unpacked, image.data() + image.size() - 4, 4);
      unpacked &= 0xFFFFF;
      std::memcpy(image.data() + image.size() - 4, &unpacked, 4);
    }
    file = std::move(image);
  }
  try {
    (void)parse_kernel(file, "fuzzed kernel");
  } catch (const ImageError&) {
  }
  return 0;
}
