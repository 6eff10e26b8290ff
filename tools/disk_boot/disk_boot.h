// How a distribution's disk image starts: machines have no firmware, so the kernel, the initial RAM disk and
// the command line that the boot loader on the disk would use are taken from the disk's ext2/3/4 file systems
// on the host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "tools/disk_boot/boot_entry.h"
#include "tools/disk_boot/partitions.h"

namespace patchbay::tools::disk_boot {

/// The image cannot be started this way; what() says why, hint() what would do.
class DiskBootError : public std::runtime_error {
 public:
  DiskBootError(const std::string& what, std::string hint)
      : std::runtime_error(what), hint_(std::move(hint)) {}
  [[nodiscard]] const std::string& hint() const noexcept { return hint_; }

 private:
  std::string hint_;
};

struct DiskBoot {
  Partition partition;  // that holds all files of the entry
  BootEntry entry;
};

/// Looks into the partitions of a raw image, in their order, for a grub.cfg or entries of the Boot Loader
/// Specification, and then for /vmlinuz and /initrd.img as Debian and Ubuntu link them. The kernel and the
/// initial RAM disks of what is returned exist. Throws DiskBootError.
[[nodiscard]] DiskBoot find_disk_boot(const std::string& image);

/// The files. An initial RAM disk in several files is put together, each aligned to 4 bytes; empty if there
/// is none. Throw DiskBootError: the image may have changed since it was looked at.
[[nodiscard]] std::vector<std::byte> read_kernel(const std::string& image, const DiskBoot& boot);
[[nodiscard]] std::vector<std::byte> read_initrd(const std::string& image, const DiskBoot& boot);

}  // namespace patchbay::tools::disk_boot
