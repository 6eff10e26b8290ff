// Arbitrary requests to a block device. Invariants: nothing outside guest memory or the medium is touched,
// and at a reset nothing is in flight any more.
#include <atomic>
#include <memory>
#include <vector>

#include "devices/block/virtio_block.h"
#include "tests/fuzz/served/served_guest.h"

namespace patchbay::devices::block {
namespace {

using fuzz::require;

/// A medium in memory that checks what the device promises.
class MemoryDisk final : public Disk {
 public:
  [[nodiscard]] std::uint64_t size() const noexcept override { return bytes_.size(); }
  [[nodiscard]] bool read_only() const noexcept override { return false; }
  [[nodiscard]] int read(std::uint64_t offset, std::span<iovec> pieces) noexcept override {
    for (const iovec& piece : pieces) {
      check(offset, piece.iov_len);
      std::memcpy(piece.iov_base, bytes_.data() + offset, piece.iov_len);
      offset += piece.iov_len;
    }
    return 0;
  }
  [[nodiscard]] int write(std::uint64_t offset, std::span<iovec> pieces) noexcept override {
    for (const iovec& piece : pieces) {
      check(offset, piece.iov_len);
      const auto* from = static_cast<const std::byte*>(piece.iov_base);
      for (std::size_t i = 0; i < piece.iov_len; ++i)
        sum_.fetch_add(static_cast<unsigned>(from[i]), std::memory_order_relaxed);
      offset += piece.iov_len;
    }
    return 0;
  }
  [[nodiscard]] int flush() noexcept override { return 0; }
  [[nodiscard]] int discard(std::uint64_t offset, std::uint64_t bytes) noexcept override {
    check(offset, bytes);
    return 0;
  }
  [[nodiscard]] int write_zeroes(std::uint64_t offset, std::uint64_t bytes, bool) noexcept override {
    check(offset, bytes);
    return 0;
  }

 private:
  void check(std::uint64_t offset, std::uint64_t bytes) const noexcept {
    require(offset <= bytes_.size() && bytes <= bytes_.size() - offset);
  }
  std::vector<std::byte> bytes_ = std::vector<std::byte>(1 << 16);
  std::atomic<unsigned> sum_{0};
};

void run(fuzz::Input& input) {
  static virtio::DoorbellThread thread;
  static IoPool pool(2);
  VirtioBlock device(std::make_unique<MemoryDisk>(), "fuzz", thread, pool);
  const auto guest = std::make_unique<fuzz::ServedGuest>(device);
  guest->bring_up(input);
  for (unsigned steps = 0; !input.empty() && steps < 256; ++steps) {
    switch (input.below(8)) {
      case 0:
        guest->bring_up(input);
        break;
      case 1:
        guest->store(input.take<std::uint16_t>(), input.take<std::uint64_t>());
        break;
      case 2:
        guest->kick();
        break;
      default: {
        constexpr std::array<std::uint32_t, 8> kTypes{0, 1, 4, 8, 11, 13, 0, 99};
        RequestHeader header{kTypes[input.below(8)], 0, input.below(160)};
        if (input.below(16) == 0) header.sector = input.take<std::uint64_t>();
        guest->offer(input, 0, std::as_bytes(std::span(&header, 1)));
        break;
      }
    }
  }
  guest->kick();
}

}  // namespace
}  // namespace patchbay::devices::block

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  patchbay::devices::fuzz::Input input(data, size);
  patchbay::devices::block::run(input);
  return 0;
}
