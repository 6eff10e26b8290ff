// What the virtual machines of one engine share: the threads that serve their disks and serial ports, and the
// kernels and initial RAM disks that several of them boot. Everything is made at its first use.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "devices/block/io_pool.h"
#include "devices/virtio/doorbell_thread.h"
#include "tools/engine/memory_file.h"
#include "tools/lab/model.h"
#include "vmm/elf_image.h"
#include "vmm/file_contents.h"
#include "vmm/kernel/kernel_cache.h"

namespace patchbay::tools {

class MachineServices {
 public:
  /// `agent` is the guest's agent (tools/agent), a file that may be missing.
  explicit MachineServices(std::filesystem::path agent) : agent_(std::move(agent)) {}

  /// Throw std::system_error.
  [[nodiscard]] devices::virtio::DoorbellThread& doorbells();
  [[nodiscard]] devices::block::IoPool& disks();
  /// What `boot` starts. Read and unpacked at the first use, or taken from the cache of unpacked kernels. They throw
  /// ImageError and DiskBootError.
  [[nodiscard]] std::shared_ptr<const vmm::ElfImage> kernel(const VmBoot& boot);
  /// With the agent as /patchbay/agent in it, which the image's init may start. Nothing if there is none.
  [[nodiscard]] std::optional<vmm::FileContents> initrd(const VmBoot& boot);
  /// The same as files for other programs, which have no name and live as long as this object. A kernel without a PVH
  /// entry, which nobody starts unpacked, is the file as it was. Throw as above, and std::system_error.
  [[nodiscard]] int kernel_file(const VmBoot& boot);
  [[nodiscard]] std::optional<int> initrd_file(const VmBoot& boot);

 private:
  [[nodiscard]] vmm::ElfImage unpacked(const VmBoot& boot);

  const std::filesystem::path agent_;
  vmm::KernelCache kernel_cache_{vmm::KernelCache::standard_folder()};
  std::optional<devices::virtio::DoorbellThread> doorbells_;
  std::optional<devices::block::IoPool> disks_;
  // By the files that hold them.
  std::map<std::filesystem::path, std::shared_ptr<const vmm::ElfImage>> kernels_;
  std::map<std::filesystem::path, vmm::FileContents> initrds_;
  std::map<std::filesystem::path, vswitch::FileDescriptor> kernel_files_;
  std::map<std::filesystem::path, vswitch::FileDescriptor> initrd_files_;
};

}  // namespace patchbay::tools
