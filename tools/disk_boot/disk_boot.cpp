#include "tools/disk_boot/disk_boot.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "tools/disk_boot/ext_file_system.h"

namespace patchbay::tools::disk_boot {
namespace {

constexpr std::uint64_t kMaxTextBytes = 1 << 20;
constexpr std::uint64_t kMaxFileBytes = 512 << 20;

// Where the file system is the root's, and where it is one for /boot alone.
constexpr std::array kGrubConfigs{"/boot/grub/grub.cfg", "/grub/grub.cfg", "/boot/grub2/grub.cfg",
                                  "/grub2/grub.cfg"};
constexpr std::array kEntryFolders{"/boot/loader/entries", "/loader/entries"};
// As the kernel packages of Debian and Ubuntu link them.
constexpr const char* kLinkedKernel = "/vmlinuz";
constexpr const char* kLinkedInitrd = "/initrd.img";

using Text = std::vector<std::byte>;

std::string_view view(const Text& text) noexcept {
  return {reinterpret_cast<const char*>(text.data()), text.size()};
}

/// All that `files` may be started with, the best first.
std::vector<BootEntry> entries_in(const ExtFileSystem& files, const Partition& partition) {
  std::vector<BootEntry> entries;
  const auto add = [&](std::optional<BootEntry> entry) {
    if (entry) entries.push_back(std::move(*entry));
  };
  for (const char* const path : kGrubConfigs) {
    if (const auto text = files.read(path, kMaxTextBytes)) add(first_grub_entry(view(*text)));
  }
  for (const std::string folder : kEntryFolders) {
    std::vector<std::string> names = files.names_in(folder);
    std::erase_if(names, [](const std::string& name) { return !name.ends_with(".conf"); });
    std::sort(names.begin(), names.end(), is_newer_entry);
    for (const std::string& name : names) {
      if (const auto text = files.read(folder + "/" + name, kMaxTextBytes)) add(loader_entry(view(*text)));
    }
  }
  BootEntry linked{.kernel = kLinkedKernel, .initrds = {}, .options = "root=/dev/vda"};
  if (partition.number != 0) linked.options += std::to_string(partition.number);
  linked.options += " rw";
  if (files.contains(kLinkedInitrd)) linked.initrds.emplace_back(kLinkedInitrd);
  add(std::move(linked));
  return entries;
}

bool is_complete(const ExtFileSystem& files, const BootEntry& entry) {
  return files.contains(entry.kernel) &&
         std::all_of(entry.initrds.begin(), entry.initrds.end(),
                     [&](const std::string& path) { return files.contains(path); });
}

/// The disk is a virtio one here, whatever it was where the boot loader was set up.
void rename_root_disk(std::string& options) {
  for (const std::string_view name : {"root=/dev/sda", "root=/dev/hda", "root=/dev/xvda"}) {
    const std::size_t at = options.find(name);
    if (at != std::string::npos) options.replace(at, name.size(), "root=/dev/vda");
  }
}

[[noreturn]] void cannot(const std::string& why) {
  throw DiskBootError(why,
                      "name the kernel to start it with: config: {vars: {patchbay: {kernel: vmlinuz, initrd: "
                      "initrd.img}}}; machines have no firmware");
}

/// `use` with the file system of `boot`; failures become DiskBootErrors.
template <typename Use>
std::vector<std::byte> with_files(const std::string& image, const DiskBoot& boot, Use use) {
  try {
    const auto files = ExtFileSystem::open(image, boot.partition.offset);
    if (!files) throw std::runtime_error("its file system is gone");
    return use(*files);
  } catch (const std::runtime_error& error) {
    cannot("'" + image + "': " + error.what());
  }
}

Text read(const ExtFileSystem& files, const std::string& path) {
  auto content = files.read(path, kMaxFileBytes);
  if (!content) throw std::runtime_error("there is no file " + path + " in it any more");
  return std::move(*content);
}

}  // namespace

DiskBoot find_disk_boot(const std::string& image) {
  bool any = false;
  try {
    for (const Partition& partition : partitions_of(image)) {
      const auto files = ExtFileSystem::open(image, partition.offset);
      if (!files) continue;
      any = true;
      for (BootEntry& entry : entries_in(*files, partition)) {
        if (!is_complete(*files, entry)) continue;
        rename_root_disk(entry.options);
        return {partition, std::move(entry)};
      }
    }
  } catch (const std::runtime_error& error) {
    cannot("'" + image + "': " + error.what());
  }
  cannot(any ? "'" + image +
                   "' has no kernel that a grub.cfg, an entry in loader/entries or /vmlinuz refers to"
             : "'" + image + "' has no ext2, ext3 or ext4 file system to find a kernel in");
}

std::vector<std::byte> read_kernel(const std::string& image, const DiskBoot& boot) {
  return with_files(image, boot, [&](const ExtFileSystem& files) { return read(files, boot.entry.kernel); });
}

std::vector<std::byte> read_initrd(const std::string& image, const DiskBoot& boot) {
  return with_files(image, boot, [&](const ExtFileSystem& files) {
    Text all;
    for (const std::string& path : boot.entry.initrds) {
      const Text part = read(files, path);
      all.resize((all.size() + 3) / 4 * 4);  // archives in a row start at multiples of 4
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  });
}

}  // namespace patchbay::tools::disk_boot
