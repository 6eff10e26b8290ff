#include "tools/lab/vm_boot.h"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <vector>

namespace patchbay::tools {
namespace {

constexpr std::size_t kMaxCommandLine = 2047;  // of Linux on x86
constexpr std::size_t kMaxDisks = 24;          // /dev/vda to /dev/vdx
constexpr std::string_view kDiskPrefix = "/dev/vd";
constexpr const char* kConsole = "console=ttyS0";

enum class ImageKind { kernel, disk, foreign_disk };

ImageKind kind_of(std::string_view start) {
  if (start.substr(0, 4) ==
      "\x7F"
      "ELF")
    return ImageKind::kernel;
  if (start.size() > 0x206 && start.substr(0x202, 4) == "HdrS") return ImageKind::kernel;  // bzImage
  for (const std::string_view magic : {"QFI\xfb", "KDMV", "vhdxfile", "conectix"}) {
    if (start.substr(0, magic.size()) == magic) return ImageKind::foreign_disk;
  }
  return ImageKind::disk;
}

/// A partition table's signature, where file systems have none.
bool is_partitioned(std::string_view start) {
  return start.size() >= 512 && start.substr(510, 2) == "\x55\xAA";
}

class VmBootResolver {
 public:
  VmBootResolver(const Located<std::string>& node, const NodeSettings& settings,
                 const std::filesystem::path& lab_file, const Surroundings& surroundings,
                 Diagnostics& diagnostics)
      : node_(node),
        settings_(settings),
        folder_(std::filesystem::absolute(lab_file).parent_path()),
        surroundings_(surroundings),
        diagnostics_(diagnostics) {}

  std::optional<VmBoot> resolve() {
    if (settings_.startup_config) {
      error(*settings_.startup_config,
            "a node of kind 'vm' takes no startup-config: its operating system has its own",
            "configure it with exec, or put the file on a disk and write it under binds");
    }
    if (!settings_.image) {
      diagnostics_.error(node_.at, fmt::format("node '{}' has no image", node_.value),
                         "write image: with the path of a kernel or of a disk image", node_.value.size());
      return std::nullopt;
    }
    boot_.at = settings_.image->at;
    if (settings_.boot_timeout) boot_.timeout = settings_.boot_timeout->value;
    read_image();
    if (settings_.initrd) boot_.initrd = existing_file(*settings_.initrd, "initrd");
    add_binds();
    add_command_line();
    if (failed_) return std::nullopt;
    return std::move(boot_);
  }

 private:
  void error(const Located<std::string>& at, const std::string& message, const std::string& hint) {
    diagnostics_.error(at.at, message, hint, std::max<std::size_t>(1, at.value.size()));
    failed_ = true;
  }

  std::filesystem::path absolute(const std::string& path) const {
    return (folder_ / path).lexically_normal();
  }

  std::filesystem::path existing_file(const Located<std::string>& setting, std::string_view key) {
    const std::filesystem::path path = absolute(setting.value);
    switch (surroundings_.path_kind(path)) {
      case PathKind::file:
        break;
      case PathKind::missing:
        error(setting, fmt::format("{}: there is no file '{}'", key, path.string()),
              "relative paths start at the lab file's directory; 'patchbay image build debian' makes a small "
              "guest");
        break;
      case PathKind::directory:
      case PathKind::other:
        error(setting, fmt::format("{}: '{}' is no file", key, path.string()), "name the file in it");
        break;
    }
    return path;
  }

  void read_image() {
    const Located<std::string>& image = *settings_.image;
    if (surroundings_.path_kind(absolute(image.value)) == PathKind::directory) return read_folder(image);
    const std::filesystem::path path = existing_file(image, "image");
    if (failed_ && surroundings_.path_kind(path) != PathKind::file) return;
    const std::string start = surroundings_.file_start(path);
    switch (kind_of(start)) {
      case ImageKind::kernel:
        boot_.kernel = path;
        if (settings_.kernel) {
          error(*settings_.kernel, "the image is a kernel already",
                "leave kernel out, or make image a disk image");
        }
        break;
      case ImageKind::disk:
        if (settings_.kernel) {
          take_root_disk(path, start);
          boot_.kernel = existing_kernel(*settings_.kernel);
        } else {
          take_bootable_disk(path, image);
        }
        break;
      case ImageKind::foreign_disk:
        error(image, fmt::format("'{}' is a disk image, but no raw one", image.value),
              fmt::format("convert it: qemu-img convert -O raw {} NEW.img", image.value));
        break;
    }
  }

  std::filesystem::path existing_kernel(const Located<std::string>& setting) {
    const bool had_failed = failed_;
    const std::filesystem::path path = existing_file(setting, "kernel");
    if (failed_ == had_failed && kind_of(surroundings_.file_start(path)) != ImageKind::kernel) {
      error(setting, fmt::format("'{}' is no kernel", setting.value),
            "name a vmlinuz (bzImage) or an ELF vmlinux");
    }
    return path;
  }

  /// A folder as `patchbay image build` makes it.
  void read_folder(const Located<std::string>& image) {
    const std::filesystem::path folder = absolute(image.value);
    const auto first_of = [&](std::initializer_list<const char*> names) -> std::filesystem::path {
      for (const char* name : names) {
        if (surroundings_.path_kind(folder / name) == PathKind::file) return folder / name;
      }
      return {};
    };
    boot_.kernel = first_of({"vmlinux", "vmlinuz", "bzImage"});
    if (boot_.kernel.empty() && settings_.kernel) boot_.kernel = existing_kernel(*settings_.kernel);
    if (boot_.kernel.empty()) {
      error(image,
            fmt::format("the directory '{}' has no kernel: no vmlinux, vmlinuz or bzImage", folder.string()),
            "name a kernel or a disk image");
    }
    boot_.initrd = first_of(
        {"initrd", "initrd.img", "initrd.cpio", "initrd.cpio.gz", "initramfs.cpio", "initramfs.cpio.gz"});
    const std::filesystem::path disk = first_of({"disk.img", "rootfs.img", "rootfs.ext4"});
    if (!disk.empty()) take_root_disk(disk, surroundings_.file_start(disk));
  }

  /// A disk for a kernel that lies elsewhere.
  void take_root_disk(const std::filesystem::path& path, std::string_view start) {
    boot_.disks.push_back({path, false, true});
    boot_.command_line = fmt::format("{} root=/dev/vda{} rw", kConsole, is_partitioned(start) ? "1" : "");
  }

  /// A distribution's disk, started as its boot loader would. Its console comes last, so that init uses it as well.
  void take_bootable_disk(const std::filesystem::path& path, const Located<std::string>& image) {
    try {
      boot_.on_disk = surroundings_.disk_boot(path.string());
      boot_.disks.push_back({path, false, true});
      boot_.kernel = path;
      const std::string& options = boot_.on_disk->entry.options;
      if (!options.empty()) boot_.command_line = fmt::format("{} {}", options, kConsole);
    } catch (const disk_boot::DiskBootError& failure) {
      error(image, failure.what(), failure.hint());
    }
  }

  /// "data.img:/dev/vdb" or "data.img:/dev/vdb:ro": further disks, written in place.
  void add_binds() {
    for (const Located<std::string>& bind : settings_.binds) {
      std::string source = bind.value;
      const bool read_only = source.ends_with(":ro");
      if (read_only || source.ends_with(":rw")) source.resize(source.size() - 3);
      const std::size_t colon = source.rfind(':');
      const std::string target = colon == std::string::npos ? "" : source.substr(colon + 1);
      if (colon == std::string::npos || colon == 0 || !target.starts_with(kDiskPrefix) ||
          target.size() != kDiskPrefix.size() + 1) {
        error(bind, fmt::format("'{}' is no disk, and a vm is given nothing else", bind.value),
              "write disk.img:/dev/vdb or disk.img:/dev/vdb:ro; single files reach a guest on a disk");
        continue;
      }
      const char letter = static_cast<char>('a' + boot_.disks.size());
      if (boot_.disks.size() >= kMaxDisks || target.back() != letter) {
        error(bind, fmt::format("the disk would not be {} in the guest", target),
              boot_.disks.size() >= kMaxDisks
                  ? "there are too many disks"
                  : fmt::format("the next one in the list is {}{}", kDiskPrefix, letter));
        continue;
      }
      boot_.disks.push_back({existing_file({source.substr(0, colon), bind.at}, "binds"), read_only, false});
    }
  }

  void add_command_line() {
    if (boot_.command_line.empty()) boot_.command_line = kConsole;
    if (settings_.cmd && !settings_.cmd->value.empty()) boot_.command_line += " " + settings_.cmd->value;
    if (boot_.command_line.size() > kMaxCommandLine && settings_.cmd) {
      error(*settings_.cmd,
            fmt::format("the kernel's command line is {} characters long", boot_.command_line.size()),
            fmt::format("at most {} are possible", kMaxCommandLine));
    }
  }

  const Located<std::string>& node_;
  const NodeSettings& settings_;
  const std::filesystem::path folder_;
  const Surroundings& surroundings_;
  Diagnostics& diagnostics_;
  VmBoot boot_;
  bool failed_ = false;
};

}  // namespace

std::optional<VmBoot> resolve_vm_boot(const Located<std::string>& node, const NodeSettings& settings,
                                      const std::filesystem::path& lab_file, const Surroundings& surroundings,
                                      Diagnostics& diagnostics) {
  return VmBootResolver(node, settings, lab_file, surroundings, diagnostics).resolve();
}

}  // namespace patchbay::tools
