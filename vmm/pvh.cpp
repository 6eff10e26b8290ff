#include "vmm/pvh.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "vmm/memory_map.h"

namespace patchbay::vmm {
namespace {

struct StartInfo {                    // struct hvm_start_info
  std::uint32_t magic = 0x336E'C578;  // "xEn3" with the high bit of the E set
  std::uint32_t version = 1;
  std::uint32_t flags = 0;
  std::uint32_t module_count = 0;
  std::uint64_t modules = 0;
  std::uint64_t command_line = 0;
  std::uint64_t root_pointer = 0;
  std::uint64_t memory_map = 0;
  std::uint32_t memory_map_entries = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(StartInfo) == 56);

struct ModuleEntry {  // struct hvm_modlist_entry
  std::uint64_t address = 0;
  std::uint64_t bytes = 0;
  std::uint64_t command_line = 0;
  std::uint64_t reserved = 0;
};
static_assert(sizeof(ModuleEntry) == 32);

struct MemoryMapEntry {  // struct hvm_memmap_table_entry
  std::uint64_t address = 0;
  std::uint64_t bytes = 0;
  std::uint32_t type = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(MemoryMapEntry) == 24);

constexpr std::uint32_t kTypeRam = 1;       // XEN_HVM_MEMMAP_TYPE_RAM
constexpr std::uint32_t kTypeReserved = 2;  // XEN_HVM_MEMMAP_TYPE_RESERVED

/// Hands out guest memory from a range upwards and copies into it.
class BootInfoArea {
 public:
  explicit BootInfoArea(const devices::GuestMemory& memory) : memory_(memory) {}

  std::uint64_t place(std::span<const std::byte> data) {
    const std::uint64_t address = next_;
    if (data.size() > kLowMemoryEnd - address) {
      throw ImageError("the command line and the list of modules do not fit in the guest's first 636 KiB");
    }
    std::byte* host = memory_.translate(address, std::max<std::size_t>(data.size(), 1));
    if (host == nullptr) throw ImageError("the guest has too little memory for its boot information");
    if (!data.empty()) std::memcpy(host, data.data(), data.size());
    next_ = (address + data.size() + 7) & ~std::uint64_t{7};
    return address;
  }
  std::uint64_t place_text(const std::string& text) {
    return place(std::as_bytes(std::span(text.c_str(), text.size() + 1)));
  }
  [[nodiscard]] std::uint64_t end() const noexcept { return next_; }

 private:
  const devices::GuestMemory& memory_;
  std::uint64_t next_ = kBootInfoStart;
};

void load_segments(const ElfImage& kernel, const devices::GuestMemory& memory) {
  for (const ElfImage::Segment& segment : kernel.segments()) {
    std::byte* host = memory.translate(segment.physical_address, segment.memory_bytes);
    if (host == nullptr) {
      throw ImageError(kernel.name() + ": a segment of " + std::to_string(segment.memory_bytes) +
                       " bytes at address " + std::to_string(segment.physical_address) +
                       " does not fit in the guest's memory; give the node more memory");
    }
    if (!segment.file.empty()) std::memcpy(host, segment.file.data(), segment.file.size());
    std::memset(host + segment.file.size(), 0, segment.memory_bytes - segment.file.size());
  }
}

bool overlaps_kernel(const ElfImage& kernel, std::uint64_t start, std::uint64_t end) {
  return std::any_of(
      kernel.segments().begin(), kernel.segments().end(), [&](const ElfImage::Segment& segment) {
        return start < segment.physical_address + segment.memory_bytes && segment.physical_address < end;
      });
}

/// Modules go page-aligned to the top of low memory, away from where kernels unpack themselves.
std::vector<ModuleEntry> load_modules(const ElfImage& kernel, const devices::GuestMemory& memory,
                                      std::span<const BootModule> modules) {
  std::vector<ModuleEntry> entries;
  std::uint64_t top = memory.regions().front().host.size();
  for (const BootModule& module : modules) {
    const std::uint64_t bytes = module.contents.size();
    const std::uint64_t start = bytes > top ? 0 : (top - bytes) & ~(kPageBytes - 1);
    if (start < kHighMemoryStart || overlaps_kernel(kernel, start, start + bytes)) {
      throw ImageError("a boot module of " + std::to_string(bytes) +
                       " bytes does not fit in the guest's memory; give the node more memory");
    }
    if (bytes != 0) std::memcpy(memory.translate(start, bytes), module.contents.bytes().data(), bytes);
    entries.push_back({start, bytes, 0, 0});
    top = start;
  }
  return entries;
}

std::vector<MemoryMapEntry> memory_map(const devices::GuestMemory& memory) {
  const std::uint64_t low = memory.regions().front().host.size();
  std::vector<MemoryMapEntry> map{
      {0, kLowMemoryEnd, kTypeRam, 0},
      {kLowMemoryEnd, kHighMemoryStart - kLowMemoryEnd, kTypeReserved, 0},
      {kHighMemoryStart, low - kHighMemoryStart, kTypeRam, 0},
      {kEcamStart, kEcamBytes, kTypeReserved, 0},
  };
  for (const auto& region : memory.regions().subspan(1)) {
    map.push_back({region.guest_address, region.host.size(), kTypeRam, 0});
  }
  return map;
}

/// An empty task state whose I/O permission bitmap allows every port. KVM without hardware virtualization
/// does not carry IOPL 3 into user mode, so there the bitmap is what lets user mode reach ports; elsewhere
/// IOPL decides first.
void place_task_state(const devices::GuestMemory& memory) {
  std::byte* const task = memory.translate(kTaskState, kTaskStateBytes);
  std::memset(task, 0, kTaskStateBytes);
  const std::uint16_t bitmap_offset = 104;
  std::memcpy(task + 102, &bitmap_offset, sizeof bitmap_offset);
  task[kTaskStateBytes - 1] = std::byte{0xFF};
}

kvm_segment flat_segment(std::uint8_t type, std::uint16_t selector) {
  kvm_segment segment{};
  segment.limit = 0xFFFF'FFFF;
  segment.selector = selector;
  segment.type = type;
  segment.present = 1;
  segment.db = 1;
  segment.s = 1;
  segment.g = 1;
  return segment;
}

}  // namespace

PvhEntry load_pvh(const ElfImage& kernel, const devices::GuestMemory& memory, const std::string& command_line,
                  std::span<const BootModule> modules, std::uint64_t root_pointer) {
  if (!kernel.pvh_entry()) {
    throw ImageError(
        kernel.name() +
        ": no PVH entry note (XEN_ELFNOTE_PHYS32_ENTRY); Linux needs CONFIG_PVH, an appliance its note "
        "segment in the linked image");
  }
  if (memory.regions().empty() || memory.regions().front().host.size() <= kHighMemoryStart) {
    throw ImageError("a guest needs more than 1 MiB of memory to boot; give the node more memory");
  }
  load_segments(kernel, memory);
  std::vector<ModuleEntry> entries = load_modules(kernel, memory, modules);

  BootInfoArea area(memory);
  StartInfo info;
  const std::uint64_t info_address = area.place(std::as_bytes(std::span(&info, 1)));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    entries[i].command_line = area.place_text(modules[i].command_line);
  }
  const std::vector<MemoryMapEntry> map = memory_map(memory);
  info.module_count = static_cast<std::uint32_t>(entries.size());
  info.modules = entries.empty() ? 0 : area.place(std::as_bytes(std::span(entries)));
  info.command_line = area.place_text(command_line);
  info.root_pointer = root_pointer;
  info.memory_map = area.place(std::as_bytes(std::span(map)));
  info.memory_map_entries = static_cast<std::uint32_t>(map.size());
  place_task_state(memory);
  if (overlaps_kernel(kernel, kBootInfoStart, area.end()) ||
      overlaps_kernel(kernel, kTaskState, kTaskState + kTaskStateBytes)) {
    throw ImageError(kernel.name() +
                     ": occupies the addresses of the boot information below 1 MiB; link it at 1 MiB");
  }
  std::memcpy(memory.translate(info_address, sizeof info), &info, sizeof info);
  return {*kernel.pvh_entry(), static_cast<std::uint32_t>(info_address)};
}

void set_pvh_state(KvmVcpu& vcpu, const PvhEntry& entry) {
  kvm_sregs sregs = vcpu.sregs();
  sregs.cs = flat_segment(11, 0x08);                                             // execute, read, accessed
  sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat_segment(3, 0x10);  // read, write, accessed
  kvm_segment task{};
  task.base = kTaskState;
  task.limit = kTaskStateBytes - 1;
  task.type = 11;  // busy 32-bit TSS
  task.present = 1;
  sregs.tr = task;
  sregs.cr0 = 0x11;  // PE, ET
  sregs.cr4 = 0;
  sregs.efer = 0;
  vcpu.set_sregs(sregs);

  kvm_regs regs{};
  regs.rip = entry.instruction_pointer;
  regs.rbx = entry.start_info;
  regs.rflags = 0x2;
  vcpu.set_regs(regs);
}

}  // namespace patchbay::vmm
