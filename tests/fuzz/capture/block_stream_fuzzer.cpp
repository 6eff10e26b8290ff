// Any bytes in place of the engine's stream: whole, well-formed blocks or an error.
#include <algorithm>
#include <cstdlib>
#include <span>

#include "tools/capture/block_stream.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using patchbay::tools::BlockStream;
  std::span<const std::byte> input = std::as_bytes(std::span(data, size));
  BlockStream stream;
  try {
    while (!input.empty()) {
      // The first byte of each portion decides how much arrives at once.
      const std::size_t portion = std::min(input.size(), 1 + std::to_integer<std::size_t>(input.front()));
      std::copy_n(input.begin(), portion, stream.prepare(portion).begin());
      stream.commit(portion);
      input = input.subspan(portion);
      for (;;) {
        const BlockStream::Block block = stream.next();
        if (block.bytes.empty()) break;
        if (block.bytes.size() % 4 != 0 || block.bytes.size() < patchbay::vswitch::capture::kMinBlockBytes)
          std::abort();
        (void)patchbay::vswitch::capture::read_dropped(block.bytes);
      }
    }
  } catch (const patchbay::tools::StreamError&) {
  }
  return 0;
}
