#include "appliances/router/guest/pci.h"

namespace patchbay::router::guest {
namespace {

constexpr unsigned kCommand = 0x04;
constexpr unsigned kStatus = 0x06;
constexpr unsigned kBar0 = 0x10;
constexpr unsigned kCapabilities = 0x34;

constexpr std::uint16_t kCommandMemory = 0x0002;
constexpr std::uint16_t kCommandBusMaster = 0x0004;
constexpr std::uint16_t kStatusCapabilities = 0x0010;

constexpr std::uint8_t kMsix = 0x11;
constexpr std::uint16_t kMsixEnable = 0x8000;
constexpr std::uint16_t kMsixMaskAll = 0x4000;
constexpr std::uint32_t kMsiAddress = 0xFEE00000;  // local APIC 0, as the format demands

}  // namespace

unsigned PciFunction::next_capability(std::uint8_t id, unsigned after) const noexcept {
  if ((read16(kStatus) & kStatusCapabilities) == 0) return 0;
  unsigned offset = read8(after == 0 ? kCapabilities : after + 1) & 0xFCU;
  for (int left = 48; offset >= 0x40 && left > 0; --left) {  // as many as fit; a loop ends too
    if (read8(offset) == id) return offset;
    offset = read8(offset + 1) & 0xFCU;
  }
  return 0;
}

std::uintptr_t PciFunction::bar(unsigned index) const noexcept {
  const std::uint32_t low = read32(kBar0 + 4 * index);
  if ((low & 1) != 0) return 0;  // I/O space
  const bool is_64bit = (low & 6) == 4;
  if (is_64bit && read32(kBar0 + 4 * index + 4) != 0) return 0;  // beyond the mapped 4 GiB
  return low & ~0xFU;
}

void PciFunction::enable() const noexcept {
  const std::uint16_t command = read16(kCommand);
  const std::uint16_t wanted = command | kCommandMemory | kCommandBusMaster;
  if (command != wanted) write16(kCommand, wanted);
}

bool PciFunction::enable_msix() const noexcept {
  const unsigned capability = next_capability(kMsix);
  if (capability == 0) return false;
  const std::uint32_t table = read32(capability + 4);
  const std::uintptr_t base = bar(table & 7);
  if (base == 0) return false;
  auto* entry = reinterpret_cast<volatile std::uint32_t*>(base + (table & ~7U));
  entry[0] = kMsiAddress;
  entry[1] = 0;
  entry[2] = 0;
  entry[3] = 0;  // unmasked
  write16(capability + 2, (read16(capability + 2) | kMsixEnable) & static_cast<std::uint16_t>(~kMsixMaskAll));
  return true;
}

}  // namespace patchbay::router::guest
