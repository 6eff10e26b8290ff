#include "vmm/boot_layout.h"

#include <algorithm>
#include <cstring>

#include "vmm/memory_map.h"

namespace patchbay::vmm {
namespace {

bool overlaps_kernel(const ElfImage& kernel, std::uint64_t start, std::uint64_t end) {
  return std::any_of(
      kernel.segments().begin(), kernel.segments().end(), [&](const ElfImage::Segment& segment) {
        return start < segment.physical_address + segment.memory_bytes && segment.physical_address < end;
      });
}

}  // namespace

BootInfoArea::BootInfoArea(const devices::GuestMemory& memory) : memory_(memory), next_(kBootInfoStart) {}

std::uint64_t BootInfoArea::place(std::span<const std::byte> data) {
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

std::uint64_t BootInfoArea::place_text(const std::string& text) {
  return place(std::as_bytes(std::span(text.c_str(), text.size() + 1)));
}

void check_boot_memory(const devices::GuestMemory& memory) {
  if (memory.regions().empty() || memory.regions().front().host.size() <= kHighMemoryStart) {
    throw ImageError("a guest needs more than 1 MiB of memory to boot; give the node more memory");
  }
}

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

std::vector<PlacedModule> load_modules(const ElfImage& kernel, const devices::GuestMemory& memory,
                                       std::span<const BootModule> modules) {
  std::vector<PlacedModule> placed;
  std::uint64_t top = memory.regions().front().host.size();
  for (const BootModule& module : modules) {
    const std::uint64_t bytes = module.contents.size();
    const std::uint64_t start = bytes > top ? 0 : (top - bytes) & ~(kPageBytes - 1);
    if (start < kHighMemoryStart || overlaps_kernel(kernel, start, start + bytes)) {
      throw ImageError("a boot module of " + std::to_string(bytes) +
                       " bytes does not fit in the guest's memory; give the node more memory");
    }
    if (bytes != 0) std::memcpy(memory.translate(start, bytes), module.contents.bytes().data(), bytes);
    placed.push_back({start, bytes});
    top = start;
  }
  return placed;
}

void check_below_kernel(const ElfImage& kernel, std::uint64_t start, std::uint64_t end) {
  if (overlaps_kernel(kernel, start, end)) {
    throw ImageError(kernel.name() +
                     ": occupies the addresses of the boot information below 1 MiB; link it at 1 MiB");
  }
}

std::vector<MemoryRange> memory_ranges(const devices::GuestMemory& memory) {
  const std::uint64_t low = memory.regions().front().host.size();
  std::vector<MemoryRange> ranges{
      {0, kLowMemoryEnd, true},
      {kLowMemoryEnd, kHighMemoryStart - kLowMemoryEnd, false},
      {kHighMemoryStart, low - kHighMemoryStart, true},
      {kEcamStart, kEcamBytes, false},
  };
  for (const auto& region : memory.regions().subspan(1))
    ranges.push_back({region.guest_address, region.host.size(), true});
  return ranges;
}

}  // namespace patchbay::vmm
