#include "tools/disk_boot/ext_file_system.h"

#include <ext2fs/ext2fs.h>
extern "C" {
#include <et/com_err.h>  // says nothing about C++
}

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace patchbay::tools::disk_boot {
namespace {

[[noreturn]] void fail(const std::string& what, errcode_t error) {
  add_error_table(&et_ext2_error_table);  // again: it stays once
  throw std::runtime_error(what + ": " + error_message(error));
}

bool is_absence(errcode_t error) noexcept {
  return error == EXT2_ET_FILE_NOT_FOUND || error == EXT2_ET_NO_DIRECTORY || error == EXT2_ET_SYMLINK_LOOP;
}

/// An open file, closed at the end.
class OpenFile {
 public:
  OpenFile(ext2_filsys file_system, ext2_ino_t inode, const std::string& path) {
    if (const errcode_t error = ext2fs_file_open(file_system, inode, 0, &file_); error != 0)
      fail(path, error);
  }
  ~OpenFile() { ext2fs_file_close(file_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  [[nodiscard]] ext2_file_t get() const noexcept { return file_; }

 private:
  ext2_file_t file_ = nullptr;
};

struct Names {
  std::vector<std::string> found;
  static int add(ext2_dir_entry* entry, int /*offset*/, int /*block*/, char* /*buffer*/,
                 void* context) noexcept {
    auto& names = static_cast<Names*>(context)->found;
    if (names.size() == ExtFileSystem::kMaxNames) return DIRENT_ABORT;
    try {
      names.emplace_back(entry->name, static_cast<std::size_t>(ext2fs_dirent_name_len(entry)));
    } catch (const std::bad_alloc&) {  // no exception may pass through the library
      return DIRENT_ABORT;
    }
    return 0;
  }
};

}  // namespace

void ExtFileSystem::Close::operator()(struct_ext2_filsys* file_system) const noexcept {
  ext2fs_free(file_system);
}

std::optional<ExtFileSystem> ExtFileSystem::open(const std::string& image, std::uint64_t offset) {
  ext2_filsys file_system = nullptr;
  const std::string options = "offset=" + std::to_string(offset);
  const errcode_t error =
      ext2fs_open2(image.c_str(), options.c_str(), EXT2_FLAG_64BITS | EXT2_FLAG_SOFTSUPP_FEATURES, 0, 0,
                   unix_io_manager, &file_system);
  if (error == EXT2_ET_BAD_MAGIC || error == EXT2_ET_SHORT_READ) return std::nullopt;
  if (error != 0) fail("its file system cannot be opened", error);
  return ExtFileSystem(file_system);
}

std::optional<std::uint32_t> ExtFileSystem::follow(const std::string& path) const {
  ext2_ino_t inode = 0;
  const errcode_t error =
      ext2fs_namei_follow(file_system_.get(), EXT2_ROOT_INO, EXT2_ROOT_INO, path.c_str(), &inode);
  if (is_absence(error)) return std::nullopt;
  if (error != 0) fail(path, error);
  return inode;
}

std::optional<std::uint32_t> ExtFileSystem::find(const std::string& path) const {
  const auto inode = follow(path);
  if (!inode) return std::nullopt;
  ext2_inode status{};
  if (const errcode_t error = ext2fs_read_inode(file_system_.get(), *inode, &status); error != 0)
    fail(path, error);
  return LINUX_S_ISREG(status.i_mode) ? inode : std::nullopt;
}

std::optional<std::vector<std::byte>> ExtFileSystem::read(const std::string& path,
                                                          std::uint64_t limit) const {
  const auto inode = find(path);
  if (!inode) return std::nullopt;
  const OpenFile file(file_system_.get(), *inode, path);
  __u64 size = 0;
  if (const errcode_t error = ext2fs_file_get_lsize(file.get(), &size); error != 0) fail(path, error);
  if (size > limit) {
    throw std::runtime_error(path + " has " + std::to_string(size) + " bytes, more than the " +
                             std::to_string(limit) + " that such a file may have");
  }
  std::vector<std::byte> content(size);
  for (std::size_t done = 0; done < content.size();) {
    const auto wanted = static_cast<unsigned>(
        std::min<std::size_t>(content.size() - done, std::numeric_limits<int>::max() / 2));
    unsigned got = 0;
    const errcode_t error = ext2fs_file_read(file.get(), content.data() + done, wanted, &got);
    if (error != 0) fail(path, error);
    if (got == 0) throw std::runtime_error(path + " is shorter than its size");
    done += got;
  }
  return content;
}

std::vector<std::string> ExtFileSystem::names_in(const std::string& folder) const {
  const auto inode = follow(folder);
  if (!inode || ext2fs_check_directory(file_system_.get(), *inode) != 0) return {};
  Names names;
  const errcode_t error = ext2fs_dir_iterate(file_system_.get(), *inode, 0, nullptr, &Names::add, &names);
  if (error != 0) fail(folder, error);
  return std::move(names.found);
}

}  // namespace patchbay::tools::disk_boot
