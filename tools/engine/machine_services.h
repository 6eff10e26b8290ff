// What the virtual machines of one engine share: the threads that serve their disks and serial ports, and the
// kernels and initial RAM disks that several of them boot.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <utility>

#include "devices/block/io_pool.h"
#include "devices/virtio/doorbell_thread.h"
#include "vmm/elf_image.h"
#include "vmm/file_contents.h"

namespace patchbay::tools {

class MachineServices {
 public:
  /// `agent` is the guest's agent (tools/agent), a file that may be missing. Throws std::system_error.
  explicit MachineServices(std::filesystem::path agent) : agent_(std::move(agent)) {}

  [[nodiscard]] devices::virtio::DoorbellThread& doorbells() noexcept { return doorbells_; }
  [[nodiscard]] devices::block::IoPool& disks() noexcept { return disks_; }
  /// Read and unpacked at the first use. They throw ImageError.
  [[nodiscard]] std::shared_ptr<const vmm::ElfImage> kernel(const std::filesystem::path& path);
  /// With the agent as /patchbay/agent in it, which the image's init may start.
  [[nodiscard]] vmm::FileContents initrd(const std::filesystem::path& path);

 private:
  const std::filesystem::path agent_;
  devices::virtio::DoorbellThread doorbells_;
  devices::block::IoPool disks_;
  std::map<std::filesystem::path, std::shared_ptr<const vmm::ElfImage>> kernels_;
  std::map<std::filesystem::path, vmm::FileContents> initrds_;
};

}  // namespace patchbay::tools
