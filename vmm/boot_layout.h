// What every boot protocol does with guest memory before it hands over: kernel segments, modules, small structures below
// 640 KiB, and the map of what is RAM.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "devices/guest_memory.h"
#include "vmm/elf_image.h"
#include "vmm/file_contents.h"

namespace patchbay::vmm {

/// A file handed to the kernel beside its image: configuration, initial RAM disk. Linux takes the first as its initrd.
struct BootModule {
  FileContents contents;
  std::string command_line;
};

/// Hands out guest memory from kBootInfoStart upwards and copies into it.
class BootInfoArea {
 public:
  explicit BootInfoArea(const devices::GuestMemory& memory);

  /// Returns the guest address. Throws ImageError if there is no room.
  std::uint64_t place(std::span<const std::byte> data);
  std::uint64_t place_text(const std::string& text);  // with its terminator
  [[nodiscard]] std::uint64_t end() const noexcept { return next_; }

 private:
  const devices::GuestMemory& memory_;
  std::uint64_t next_;
};

struct MemoryRange {
  std::uint64_t address;
  std::uint64_t bytes;
  bool ram;  ///< else reserved
  /// As Linux's zero page (E820_TYPE_*) and PVH (XEN_HVM_MEMMAP_TYPE_*) number them alike.
  [[nodiscard]] std::uint32_t type() const noexcept { return ram ? 1 : 2; }
};

struct PlacedModule {
  std::uint64_t address;
  std::uint64_t bytes;
};

/// All of these throw ImageError if something does not fit.
void check_boot_memory(const devices::GuestMemory& memory);
void load_segments(const ElfImage& kernel, const devices::GuestMemory& memory);
/// Page-aligned at the top of low memory, away from where kernels unpack themselves; in the order given.
[[nodiscard]] std::vector<PlacedModule> load_modules(const ElfImage& kernel, const devices::GuestMemory& memory,
                                                     std::span<const BootModule> modules);
/// The kernel's segments leave [start, end) alone.
void check_below_kernel(const ElfImage& kernel, std::uint64_t start, std::uint64_t end);
[[nodiscard]] std::vector<MemoryRange> memory_ranges(const devices::GuestMemory& memory);

}  // namespace patchbay::vmm
