#include "vmm/kernel/kernel_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <system_error>
#include <utility>

#include "devices/bus.h"
#include "vmm/kernel/linux_image.h"

namespace patchbay::vmm {

namespace fs = std::filesystem;

namespace {

constexpr const char* kSuffix = ".vmlinux";
constexpr const char* kUnfinished = ".partial-";
constexpr std::chrono::hours kAbandonedAfter{1};

/// Nobody but this user can have put something there.
bool is_own(const struct stat& file) {
  return file.st_uid == ::geteuid() && (file.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

bool is_safe(const fs::path& folder) {
  struct stat status {};
  return ::lstat(folder.c_str(), &status) == 0 && S_ISDIR(status.st_mode) && is_own(status);
}

std::optional<FileContents> find(const fs::path& entry) {
  const devices::FileDescriptor fd(::open(entry.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode) || !is_own(status)) return std::nullopt;
  std::optional<FileContents> contents = FileContents::map(fd.get(), static_cast<std::size_t>(status.st_size));
  constexpr std::array<timespec, 2> kNow{timespec{0, UTIME_NOW}, timespec{0, UTIME_NOW}};
  ::futimens(fd.get(), kNow.data());  // it was used
  return contents;
}

void store(const fs::path& folder, const std::string& name, std::span<const std::byte> data) {
  std::string partial = folder / (kUnfinished + name + ".XXXXXX");
  const devices::FileDescriptor fd(::mkostemp(partial.data(), O_CLOEXEC));
  if (!fd) return;
  // Were the name to become durable before the data, a kernel with holes would be found after a power failure.
  const bool stored = devices::write_all(fd.get(), data) && ::fdatasync(fd.get()) == 0 &&
                      ::rename(partial.c_str(), (folder / name).c_str()) == 0;
  if (!stored) ::unlink(partial.c_str());
}

void remove_surplus(const fs::path& folder) {
  std::error_code ignored;
  std::vector<std::pair<fs::file_time_type, fs::path>> entries;
  for (const auto& file : fs::directory_iterator(folder, ignored)) {
    const fs::file_time_type time = file.last_write_time(ignored);
    if (file.path().filename().string().starts_with(kUnfinished)) {
      if (time < fs::file_time_type::clock::now() - kAbandonedAfter) fs::remove(file.path(), ignored);
    } else if (file.path().extension() == kSuffix) {
      entries.emplace_back(time, file.path());
    }
  }
  std::sort(entries.begin(), entries.end());
  for (std::size_t i = 0; i + KernelCache::kEntries < entries.size(); ++i)
    fs::remove(entries[i].second, ignored);
}

}  // namespace

KernelCache::~KernelCache() {
  for (std::thread& writer : writers_)
    writer.join();
}

fs::path KernelCache::standard_folder() {
  if (const char* const chosen = std::getenv("PATCHBAY_CACHE"))
    return *chosen != '\0' ? fs::path(chosen) / "kernels" : fs::path();
  const uid_t user = ::geteuid();
  return fs::path(user == 0 ? "/run/patchbay-cache" : "/tmp/patchbay-cache-" + std::to_string(user)) / "kernels";
}

/// The entry's name for the file in `path`, or none if it cannot be told or may still change.
std::optional<std::string> KernelCache::entry_name(const std::string& path) const {
  struct stat file {};
  if (::stat(path.c_str(), &file) != 0 || !S_ISREG(file.st_mode)) return std::nullopt;
  if (std::max(file.st_mtim.tv_sec, file.st_ctim.tv_sec) > ::time(nullptr) - settled_after_.count()) return std::nullopt;
  std::array<char, 200> text;
  std::snprintf(text.data(), text.size(), "1-%lx-%lx-%lx-%lx.%lx-%lx.%lx%s", static_cast<long>(file.st_dev),
                static_cast<long>(file.st_ino), static_cast<long>(file.st_size),
                static_cast<long>(file.st_mtim.tv_sec), static_cast<long>(file.st_mtim.tv_nsec),
                static_cast<long>(file.st_ctim.tv_sec), static_cast<long>(file.st_ctim.tv_nsec), kSuffix);
  return text.data();
}

ElfImage KernelCache::load(const std::string& path) {
  return load(path, [&] { return FileContents::read(path, "kernel image"); });
}

ElfImage KernelCache::load(const std::string& path, const std::function<FileContents()>& read) {
  const std::optional<std::string> name = folder_.empty() ? std::nullopt : entry_name(path);
  if (name && is_safe(folder_)) {
    if (const auto found = find(folder_ / *name)) {
      try {
        return ElfImage::parse(*found, path);
      } catch (const ImageError&) {  // damaged: unpack it again
      }
    }
  }
  const FileContents file = read();
  ElfImage image = parse_kernel(file, path);
  if (name && is_bzimage(file.bytes()) && entry_name(path) == name) keep(*name, image.contents());
  return image;
}

void KernelCache::keep(const std::string& name, const FileContents& kernel) {
  std::error_code ignored;
  fs::create_directories(folder_.parent_path(), ignored);
  ::mkdir(folder_.c_str(), 0700);
  if (!is_safe(folder_)) return;
  const std::lock_guard lock(mutex_);
  try {
    writers_.emplace_back([folder = folder_, name, kernel] {
      store(folder, name, kernel.bytes());
      remove_surplus(folder);
    });
  } catch (const std::system_error&) {  // no thread: the next start unpacks again
  }
}

}  // namespace patchbay::vmm
