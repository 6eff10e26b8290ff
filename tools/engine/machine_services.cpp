#include "tools/engine/machine_services.h"

#include <algorithm>

#include "tools/engine/cpio_archive.h"

namespace patchbay::tools {
namespace {

/// The kernel as it lies in its file.
vmm::FileContents packed_kernel(const VmBoot& boot) {
  if (boot.on_disk) return disk_boot::read_kernel(boot.kernel.string(), *boot.on_disk);
  return vmm::FileContents::read(boot.kernel.string(), "kernel image");
}

/// The file that holds the initial RAM disk; empty if there is none.
const std::filesystem::path& initrd_source(const VmBoot& boot) noexcept {
  return boot.initrd.empty() && boot.on_disk && !boot.on_disk->entry.initrds.empty() ? boot.kernel
                                                                                     : boot.initrd;
}

}  // namespace

devices::virtio::DoorbellThread& MachineServices::doorbells() {
  return doorbells_ ? *doorbells_ : doorbells_.emplace();
}

devices::block::IoPool& MachineServices::disks() {
  return disks_ ? *disks_ : disks_.emplace();
}

vmm::ElfImage MachineServices::unpacked(const VmBoot& boot) {
  return kernel_cache_.load(boot.kernel.string(), [&] { return packed_kernel(boot); });
}

std::shared_ptr<const vmm::ElfImage> MachineServices::kernel(const VmBoot& boot) {
  auto& image = kernels_[boot.kernel];
  if (!image) image = std::make_shared<const vmm::ElfImage>(unpacked(boot));
  return image;
}

std::optional<vmm::FileContents> MachineServices::initrd(const VmBoot& boot) {
  const std::filesystem::path& source = initrd_source(boot);
  if (source.empty()) return std::nullopt;
  const auto known = initrds_.find(source);
  if (known != initrds_.end()) return known->second;
  vmm::FileContents initrd = boot.initrd.empty()
                                 ? vmm::FileContents(disk_boot::read_initrd(source.string(), *boot.on_disk))
                                 : vmm::FileContents::read(source.string(), "initial RAM disk");
  if (std::filesystem::exists(agent_)) {
    CpioArchive archive;
    archive.add_folder("patchbay");
    archive.add_program("patchbay/agent", vmm::FileContents::read(agent_.string(), "guest agent").bytes());
    const std::vector<std::byte> appended = archive.finish();
    const std::size_t start = (initrd.size() + 3) / 4 * 4;
    initrd = vmm::FileContents::filled(start + appended.size(), [&](std::span<std::byte> to) {
      std::fill(to.begin(), to.end(), std::byte{0});
      std::copy(initrd.bytes().begin(), initrd.bytes().end(), to.begin());
      std::copy(appended.begin(), appended.end(), to.begin() + static_cast<std::ptrdiff_t>(start));
    });
  }
  return initrds_.emplace(source, std::move(initrd)).first->second;
}

int MachineServices::kernel_file(const VmBoot& boot) {
  const auto known = kernel_files_.find(boot.kernel);
  if (known != kernel_files_.end()) return known->second.get();
  const vmm::ElfImage image = unpacked(boot);
  const vmm::FileContents contents = image.pvh_entry() ? image.contents() : packed_kernel(boot);
  return kernel_files_.emplace(boot.kernel, memory_file("patchbay-kernel", contents.bytes()))
      .first->second.get();
}

std::optional<int> MachineServices::initrd_file(const VmBoot& boot) {
  const std::filesystem::path& source = initrd_source(boot);
  if (source.empty()) return std::nullopt;
  const auto known = initrd_files_.find(source);
  if (known != initrd_files_.end()) return known->second.get();
  return initrd_files_.emplace(source, memory_file("patchbay-initrd", initrd(boot)->bytes()))
      .first->second.get();
}

}  // namespace patchbay::tools
