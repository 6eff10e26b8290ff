// A copy-on-write disk: reads come from a base image that is never written, writes go to a sparse file of
// this disk alone, so that many nodes start from one image. The overlay lives as long as this object: it
// survives resets and power cycles of the machine, not the lab.
//
// Which blocks of 4 KiB are in the overlay is one bit each, in memory (32 KiB for a disk of 1 GiB). File
// systems write whole blocks; a write of a part of one first copies the rest from the base.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "devices/block/disk.h"
#include "vswitch/file_descriptor.h"

namespace patchbay::devices::block {

class OverlayDisk final : public Disk {
 public:
  static constexpr std::uint32_t kBlockBytes = 4096;

  /// The overlay is a nameless file in `directory`. Throws what open_image() throws, and std::runtime_error
  /// or std::system_error if the overlay cannot be made.
  OverlayDisk(const std::string& base, const std::string& directory);

  [[nodiscard]] std::uint64_t size() const noexcept override { return bytes_; }
  [[nodiscard]] bool read_only() const noexcept override { return false; }
  [[nodiscard]] int read(std::uint64_t offset, std::span<iovec> pieces) noexcept override;
  [[nodiscard]] int write(std::uint64_t offset, std::span<iovec> pieces) noexcept override;
  /// Nothing to make safe: the overlay ends with this process at the latest.
  [[nodiscard]] int flush() noexcept override { return 0; }
  [[nodiscard]] int discard(std::uint64_t offset, std::uint64_t bytes) noexcept override;
  [[nodiscard]] int write_zeroes(std::uint64_t offset, std::uint64_t bytes, bool may_unmap) noexcept override;

 private:
  using Word = std::atomic<std::uint64_t>;

  [[nodiscard]] bool is_written(std::uint64_t block) const noexcept {
    return (written_[block / 64].load(std::memory_order_acquire) >> (block % 64) & 1) != 0;
  }
  void mark_written(std::uint64_t first, std::uint64_t last) noexcept;
  /// Copies the base's bytes of a block to the overlay, unless it is there. Under copy_mutex_.
  [[nodiscard]] int copy_up(std::uint64_t block) noexcept;

  vswitch::FileDescriptor base_;
  vswitch::FileDescriptor overlay_;
  std::uint64_t bytes_ = 0;
  std::unique_ptr<Word[]> written_;
  std::mutex copy_mutex_;  // blocks written in part: one copies, the others find it copied
};

}  // namespace patchbay::devices::block
