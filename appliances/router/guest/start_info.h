// What the VMM tells the guest at the start: struct hvm_start_info of the PVH boot ABI, version 1
// (xen/include/public/arch-x86/hvm/start_info.h). All addresses are physical, and so are the guest's own.
#pragma once

#include <cstdint>

namespace patchbay::router::guest {

struct StartInfo {
  static constexpr std::uint32_t kMagic = 0x336EC578;
  std::uint32_t magic;
  std::uint32_t version;
  std::uint32_t flags;
  std::uint32_t modules;       // count
  std::uint64_t module_list;   // -> StartModule[modules]
  std::uint64_t command_line;  // -> zero-terminated text, or 0
  std::uint64_t rsdp;
  std::uint64_t memory_map;  // -> StartMemory[memory_map_entries]; version >= 1
  std::uint32_t memory_map_entries;
  std::uint32_t reserved;
};
static_assert(sizeof(StartInfo) == 56);

struct StartModule {
  std::uint64_t address;
  std::uint64_t bytes;
  std::uint64_t command_line;
  std::uint64_t reserved;
};
static_assert(sizeof(StartModule) == 32);

struct StartMemory {
  static constexpr std::uint32_t kRam = 1;
  std::uint64_t address;
  std::uint64_t bytes;
  std::uint32_t type;
  std::uint32_t reserved;
};
static_assert(sizeof(StartMemory) == 24);

}  // namespace patchbay::router::guest
