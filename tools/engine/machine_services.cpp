#include "tools/engine/machine_services.h"

#include <algorithm>

#include "tools/engine/cpio_archive.h"

namespace patchbay::tools {

devices::virtio::DoorbellThread& MachineServices::doorbells() {
  return doorbells_ ? *doorbells_ : doorbells_.emplace();
}

devices::block::IoPool& MachineServices::disks() {
  return disks_ ? *disks_ : disks_.emplace();
}

std::shared_ptr<const vmm::ElfImage> MachineServices::kernel(const std::filesystem::path& path) {
  auto& image = kernels_[path];
  if (!image) image = std::make_shared<const vmm::ElfImage>(kernel_cache_.load(path.string()));
  return image;
}

vmm::FileContents MachineServices::initrd(const std::filesystem::path& path) {
  const auto known = initrds_.find(path);
  if (known != initrds_.end()) return known->second;
  vmm::FileContents initrd = vmm::FileContents::read(path.string(), "initial RAM disk");
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
  return initrds_.emplace(path, std::move(initrd)).first->second;
}

int MachineServices::kernel_file(const std::filesystem::path& path) {
  const auto known = files_.find(path);
  if (known != files_.end()) return known->second.get();
  vswitch::FileDescriptor file;
  const vmm::ElfImage image = kernel_cache_.load(path.string());
  if (image.pvh_entry()) file = memory_file("patchbay-kernel", image.contents().bytes());
  return files_.emplace(path, std::move(file)).first->second.get();
}

int MachineServices::initrd_file(const std::filesystem::path& path) {
  const auto known = files_.find(path);
  if (known != files_.end()) return known->second.get();
  return files_.emplace(path, memory_file("patchbay-initrd", initrd(path).bytes())).first->second.get();
}

}  // namespace patchbay::tools
