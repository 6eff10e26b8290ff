// An ext2, ext3 or ext4 file system in a raw disk image, read without mounting it (libext2fs): no privilege,
// no loop device, nothing is written. What is only in the journal of a file system that was not unmounted is
// not seen.
//
// One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct struct_ext2_filsys;

namespace patchbay::tools::disk_boot {

class ExtFileSystem {
 public:
  /// Nothing if there is none at `offset` bytes into the image. Throws std::runtime_error if it is damaged,
  /// or needs what libext2fs does not know.
  [[nodiscard]] static std::optional<ExtFileSystem> open(const std::string& image, std::uint64_t offset);

  /// A regular file, found through symbolic links; nothing if there is none. Throws std::runtime_error if it
  /// cannot be read or is longer than `limit` bytes.
  [[nodiscard]] std::optional<std::vector<std::byte>> read(const std::string& path,
                                                           std::uint64_t limit) const;
  /// True if there is a regular file, found through symbolic links.
  [[nodiscard]] bool contains(const std::string& path) const { return find(path).has_value(); }
  /// Names in a folder, . and .. included, in no order, at most kMaxNames; none if there is no such folder.
  [[nodiscard]] std::vector<std::string> names_in(const std::string& folder) const;

  static constexpr std::size_t kMaxNames = 1000;

 private:
  struct Close {
    void operator()(struct_ext2_filsys* file_system) const noexcept;
  };
  explicit ExtFileSystem(struct_ext2_filsys* file_system) : file_system_(file_system) {}

  /// The inode behind a path.
  [[nodiscard]] std::optional<std::uint32_t> follow(const std::string& path) const;
  /// The inode of a regular file.
  [[nodiscard]] std::optional<std::uint32_t> find(const std::string& path) const;

  std::unique_ptr<struct_ext2_filsys, Close> file_system_;
};

}  // namespace patchbay::tools::disk_boot
