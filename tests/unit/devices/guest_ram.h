// A small guest memory for tests of device models: one region of a memfd, which can be shared as a hypervisor
// shares it, with an allocator for the driver doubles that live in it.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>

#include "devices/bus.h"
#include "devices/guest_memory.h"
#include "devices/memory_mapping.h"

namespace patchbay::devices::testing {

class GuestRam {
 public:
  static constexpr std::uint64_t kBase = 0x10'0000;

  explicit GuestRam(std::size_t bytes = 1 << 20)
      : fd_(create(bytes)),
        host_(fd_.get(), bytes, PROT_READ | PROT_WRITE, "a test's guest memory"),
        bytes_(bytes),
        memory_({{kBase, host_.bytes()}}) {}

  [[nodiscard]] const GuestMemory& memory() const noexcept { return memory_; }
  [[nodiscard]] std::uint64_t end() const noexcept { return kBase + bytes_; }
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return host_.bytes(); }
  /// The file behind the memory; kBase is at offset 0.
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  /// Host memory behind a guest address, which must lie in the region.
  [[nodiscard]] std::byte* at(std::uint64_t address) const noexcept {
    return host_.data() + (address - kBase);
  }
  template <typename T>
  [[nodiscard]] T load(std::uint64_t address) const noexcept {
    T value;
    std::memcpy(&value, at(address), sizeof value);
    return value;
  }
  template <typename T>
  void store(std::uint64_t address, const T& value) const noexcept {
    std::memcpy(at(address), &value, sizeof value);
  }

  /// Throws std::bad_alloc when the region is used up.
  std::uint64_t allocate(std::size_t bytes, std::size_t alignment = 64) {
    const std::size_t start = (used_ + alignment - 1) & ~(alignment - 1);
    if (start + bytes > bytes_) throw std::bad_alloc();
    used_ = start + bytes;
    return kBase + start;
  }

 private:
  static FileDescriptor create(std::size_t bytes) {
    FileDescriptor fd(::memfd_create("test-guest", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) throw std::bad_alloc();
    return fd;
  }

  FileDescriptor fd_;
  MemoryMapping host_;
  std::size_t bytes_;
  std::size_t used_ = 0;
  GuestMemory memory_;
};

}  // namespace patchbay::devices::testing
