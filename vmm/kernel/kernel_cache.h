// Unpacked kernels in a folder, for every start after the first: unpacking a distribution's kernel takes longer than all
// else that the host does for a start. Machines of one process share the ElfImage; this is for the next process.
//
// An entry is named by the compressed file's device, inode, size and times, so a changed file is another entry. Entries
// appear complete or not at all, are only ever removed as a whole, and are mapped, not read: engines with the same
// kernel share its pages. The folder holds kEntries at most; the ones unused for longest go. Anybody may delete it.
//
// A folder that others may write to is not used, and neither is one that cannot be made: then every start unpacks.
//
// Threads: load() from any. Entries are written on a thread of the cache's own.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "vmm/elf_image.h"

namespace patchbay::vmm {

class KernelCache {
 public:
  static constexpr std::size_t kEntries = 4;

  /// An empty `folder`: nothing is kept. It is made when there is something to keep. A file that changed less than
  /// `settled_after` ago is left alone: it may change again without its times showing it.
  explicit KernelCache(std::filesystem::path folder, std::chrono::seconds settled_after = std::chrono::seconds(2))
      : folder_(std::move(folder)), settled_after_(settled_after) {}
  ~KernelCache();  // waits for entries that are being written
  KernelCache(const KernelCache&) = delete;
  KernelCache& operator=(const KernelCache&) = delete;

  /// "kernels" in PATCHBAY_CACHE if that is set (empty: none), else in /run/patchbay-cache, or
  /// /tmp/patchbay-cache-UID for other users than root.
  [[nodiscard]] static std::filesystem::path standard_folder();

  /// load_kernel(path), from the cache if it can be. Throws ImageError.
  [[nodiscard]] ElfImage load(const std::string& path);
  /// The same for the one kernel that `read` finds in the file `path`, a disk image. What `read` throws passes through.
  [[nodiscard]] ElfImage load(const std::string& path, const std::function<FileContents()>& read);

 private:
  [[nodiscard]] std::optional<std::string> entry_name(const std::string& path) const;
  void keep(const std::string& name, const FileContents& kernel);

  const std::filesystem::path folder_;
  const std::chrono::seconds settled_after_;
  std::mutex mutex_;
  std::vector<std::thread> writers_;
};

}  // namespace patchbay::vmm
