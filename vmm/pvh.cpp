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
  check_boot_memory(memory);
  load_segments(kernel, memory);
  const std::vector<PlacedModule> placed = load_modules(kernel, memory, modules);

  BootInfoArea area(memory);
  StartInfo info;
  const std::uint64_t info_address = area.place(std::as_bytes(std::span(&info, 1)));
  std::vector<ModuleEntry> entries;
  for (std::size_t i = 0; i < placed.size(); ++i)
    entries.push_back({placed[i].address, placed[i].bytes, area.place_text(modules[i].command_line), 0});
  std::vector<MemoryMapEntry> map;
  for (const MemoryRange& range : memory_ranges(memory))
    map.push_back({range.address, range.bytes, range.type(), 0});
  info.module_count = static_cast<std::uint32_t>(entries.size());
  info.modules = entries.empty() ? 0 : area.place(std::as_bytes(std::span(entries)));
  info.command_line = area.place_text(command_line);
  info.root_pointer = root_pointer;
  info.memory_map = area.place(std::as_bytes(std::span(map)));
  info.memory_map_entries = static_cast<std::uint32_t>(map.size());
  place_task_state(memory);
  check_below_kernel(kernel, kBootInfoStart, area.end());
  check_below_kernel(kernel, kTaskState, kTaskState + kTaskStateBytes);
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
