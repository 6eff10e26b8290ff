// What a block device needs of the thing it stores its bytes in. Implementations: raw_disk.h, overlay_disk.h.
//
// Threads: every call from any thread, several at a time; overlapping requests that run at once may mix.
// Ranges are in bytes, lie within size(), and their ends are multiples of kSectorBytes: the device checks
// what the guest says. Nothing throws; results are 0 or an errno value.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace patchbay::devices::block {

inline constexpr std::uint32_t kSectorBytes = 512;

class Disk {
 public:
  virtual ~Disk() = default;

  /// Bytes; a multiple of kSectorBytes; constant.
  [[nodiscard]] virtual std::uint64_t size() const noexcept = 0;
  [[nodiscard]] virtual bool read_only() const noexcept = 0;
  /// Fill or store `pieces`, which together are as long as the range; their content is used up.
  [[nodiscard]] virtual int read(std::uint64_t offset, std::span<iovec> pieces) noexcept = 0;
  [[nodiscard]] virtual int write(std::uint64_t offset, std::span<iovec> pieces) noexcept = 0;
  /// Everything written before is safe when it returns, as far as the medium outlives this process at all.
  [[nodiscard]] virtual int flush() noexcept = 0;
  /// The guest does not need these bytes any more. They read as zeros or as they were.
  [[nodiscard]] virtual int discard(std::uint64_t offset, std::uint64_t bytes) noexcept = 0;
  /// They read as zeros. `may_unmap`: their space may be given back.
  [[nodiscard]] virtual int write_zeroes(std::uint64_t offset, std::uint64_t bytes,
                                         bool may_unmap) noexcept = 0;
};

/// Transfers at `offset` until all pieces are done, whatever the kernel does at a time. A read past the
/// file's end gives zeros. 0 or errno.
[[nodiscard]] int read_fully(int fd, std::uint64_t offset, std::span<iovec> pieces) noexcept;
[[nodiscard]] int write_fully(int fd, std::uint64_t offset, std::span<iovec> pieces) noexcept;

/// Gives the space of a range of a file back, or at least makes it read as zeros. 0 or errno.
[[nodiscard]] int punch_hole(int fd, std::uint64_t offset, std::uint64_t bytes) noexcept;
[[nodiscard]] int zero_range(int fd, std::uint64_t offset, std::uint64_t bytes) noexcept;

/// Opens an image file or block device and finds its size. Throws std::runtime_error naming the cause and the
/// way out: missing, empty, in another format than raw, or in use by another writer.
struct OpenedImage {
  int fd = -1;  // the caller's
  std::uint64_t bytes = 0;
};
[[nodiscard]] OpenedImage open_image(const std::string& path, bool writable);

/// An empty file in `directory` that has no name there: gone with its last descriptor, which is the caller's. Negative,
/// with errno, if there is none to be had.
[[nodiscard]] int nameless_file(const std::string& directory);

}  // namespace patchbay::devices::block
