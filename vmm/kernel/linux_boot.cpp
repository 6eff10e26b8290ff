#include "vmm/kernel/linux_boot.h"

#include <array>
#include <cstring>

#include "vmm/kernel/setup_header.h"
#include "vmm/memory_map.h"

namespace patchbay::vmm {
namespace {

// The zero page beside the setup header, by offset.
constexpr std::size_t kZeroPageBytes = 4096;
constexpr std::size_t kRootPointer = 0x070;
constexpr std::size_t kMapEntries = 0x1E8;
constexpr std::size_t kMap = 0x2D0;
constexpr std::size_t kMapEntryBytes = 20;
constexpr std::size_t kMaxMapEntries = 128;

// Paging structures and descriptors, in the pages before the boot information.
constexpr std::uint64_t kLevel4 = 0x1000;
constexpr std::uint64_t kLevel3 = 0x2000;
constexpr std::uint64_t kLevel2 = 0x3000;
constexpr std::uint64_t kDescriptors = 0x4000;
constexpr std::uint64_t kPresentWritable = 0x3;
constexpr std::uint64_t kLargePage = 0x80;
constexpr std::uint64_t kLargePageBytes = 2 * kMiB;
constexpr std::uint16_t kCodeSelector = 0x10;  // __BOOT_CS
constexpr std::uint16_t kDataSelector = 0x18;  // __BOOT_DS
constexpr std::array<std::uint64_t, 4> kDescriptorTable{0, 0, 0x00AF'9B00'0000'FFFF, 0x00CF'9300'0000'FFFF};

void place_paging(const devices::GuestMemory& memory) {
  const auto put = [&](std::uint64_t address, std::uint64_t value) {
    std::memcpy(memory.translate(address, sizeof value), &value, sizeof value);
  };
  put(kLevel4, kLevel3 | kPresentWritable);
  put(kLevel3, kLevel2 | kPresentWritable);
  for (std::uint64_t i = 0; i < kPageBytes / 8; ++i)
    put(kLevel2 + 8 * i, i * kLargePageBytes | kPresentWritable | kLargePage);
  for (std::size_t i = 0; i < kDescriptorTable.size(); ++i)
    put(kDescriptors + 8 * i, kDescriptorTable[i]);
}

kvm_segment segment(std::uint16_t selector, std::uint8_t type, bool code) {
  kvm_segment flat{};
  flat.limit = 0xFFFF'FFFF;
  flat.selector = selector;
  flat.type = type;
  flat.present = 1;
  flat.s = 1;
  flat.g = 1;
  flat.l = code ? 1 : 0;
  flat.db = code ? 0 : 1;
  return flat;
}

}  // namespace

LinuxEntry load_linux(const ElfImage& kernel, const devices::GuestMemory& memory, const std::string& command_line,
                      std::span<const BootModule> modules, std::uint64_t root_pointer) {
  if (!kernel.is_64bit()) {
    throw ImageError(kernel.name() +
                     ": a 32-bit kernel without PVH entry note (XEN_ELFNOTE_PHYS32_ENTRY); Linux needs CONFIG_PVH");
  }
  if (modules.size() > 1) throw ImageError(kernel.name() + ": Linux takes one boot module, its initrd");
  check_boot_memory(memory);
  load_segments(kernel, memory);
  const std::vector<PlacedModule> placed = load_modules(kernel, memory, modules);

  BootInfoArea area(memory);
  std::array<std::byte, kZeroPageBytes> page{};
  const auto put = [&](std::size_t offset, auto value) { std::memcpy(page.data() + offset, &value, sizeof value); };
  const std::uint64_t page_address = area.place(page);
  const std::uint64_t text_address = area.place_text(command_line);
  check_below_kernel(kernel, kLevel4, area.end());
  put(kRootPointer, root_pointer);
  put(setup_header::kBootFlag, setup_header::kBootFlagValue);
  put(setup_header::kMagic, setup_header::kMagicValue);
  put(setup_header::kProtocolVersion, std::uint16_t{0x020C});
  put(setup_header::kLoaderType, std::uint8_t{0xFF});  // none that is registered
  put(setup_header::kLoadFlags, std::uint8_t{1});      // loaded high
  put(setup_header::kKernelAlignment, std::uint32_t{16 * kMiB});
  put(setup_header::kCommandLine, static_cast<std::uint32_t>(text_address));
  put(setup_header::kCommandLineBytes, static_cast<std::uint32_t>(command_line.size()));
  if (!placed.empty()) {
    put(setup_header::kInitrdAddress, static_cast<std::uint32_t>(placed[0].address));
    put(setup_header::kInitrdBytes, static_cast<std::uint32_t>(placed[0].bytes));
  }
  std::size_t entries = 0;
  for (const MemoryRange& range : memory_ranges(memory)) {
    if (entries == kMaxMapEntries) break;
    put(kMap + entries * kMapEntryBytes, range.address);
    put(kMap + entries * kMapEntryBytes + 8, range.bytes);
    put(kMap + entries * kMapEntryBytes + 16, range.type());
    ++entries;
  }
  put(kMapEntries, static_cast<std::uint8_t>(entries));
  std::memcpy(memory.translate(page_address, page.size()), page.data(), page.size());
  place_paging(memory);
  return {kernel.entry(), page_address};
}

void set_linux_state(KvmVcpu& vcpu, const LinuxEntry& entry) {
  kvm_sregs sregs = vcpu.sregs();
  sregs.cs = segment(kCodeSelector, 11, true);                                            // execute, read, accessed
  sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = segment(kDataSelector, 3, false);  // read, write, accessed
  sregs.gdt.base = kDescriptors;
  sregs.gdt.limit = sizeof kDescriptorTable - 1;
  sregs.cr3 = kLevel4;
  sregs.cr4 = 0x20;         // PAE
  sregs.cr0 = 0x8000'0011;  // PG, ET, PE
  sregs.efer = 0x500;       // LME, LMA
  vcpu.set_sregs(sregs);

  kvm_regs regs{};
  regs.rip = entry.instruction_pointer;
  regs.rsi = entry.boot_params;
  regs.rflags = 0x2;
  vcpu.set_regs(regs);
}

}  // namespace patchbay::vmm
