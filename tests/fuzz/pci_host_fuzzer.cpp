// A guest that does anything to its PCI bus: configuration, BAR, MSI-X and port accesses of any width at any
// offset. Input: records of an operation byte, three offset bytes and eight bytes of value.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "devices/pci/function.h"
#include "vmm/doorbells.h"
#include "vmm/memory_map.h"
#include "vmm/pci_host.h"

namespace {

using namespace patchbay;

class NoMsi final : public devices::MsiVectors {
 public:
  void configure(unsigned, std::uint64_t, std::uint32_t) noexcept override {}
  void raise(unsigned) noexcept override {}
};

class Device final : public devices::pci::Function {
 public:
  Device() : Function({.vendor = 0x1AF4, .device = 0x1041}) {
    add_memory_bar(0, 0x1000, false);
    add_io_bar(1, 32);
    add_memory_bar(2, 0x4000, true);
    add_msix(4, 2, 0);
  }
  void interrupt(unsigned vector) { raise_msix(vector); }

 private:
  // The base class promises accesses within the BAR; touching the ends lets the sanitizer check that.
  void on_bar_read(unsigned, std::uint64_t offset, std::span<std::byte> data) noexcept override {
    std::memcpy(data.data(), registers_.data() + offset, data.size());
  }
  void on_bar_write(unsigned, std::uint64_t offset, std::span<const std::byte> data) noexcept override {
    std::memcpy(registers_.data() + offset, data.data(), data.size());
  }
  void on_reset() noexcept override {}
  std::array<std::byte, 0x4000> registers_{};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace patchbay::vmm;
  const devices::GuestMemory memory;
  NoMsi msi;
  KvmDoorbells doorbells;
  const auto device = std::make_shared<Device>();
  PciHost host({device});
  AddressSpace space;
  host.add_to(space);
  const devices::pci::Attachment attachment{&memory, &msi, nullptr, &doorbells};
  host.attach(std::span(&attachment, 1));
  host.assign_bars();

  constexpr std::size_t kRecord = 12;
  for (; size >= kRecord; data += kRecord, size -= kRecord) {
    const std::size_t width = std::size_t{1} << (data[0] & 3);
    const std::uint32_t offset = data[1] | std::uint32_t{data[2]} << 8 | std::uint32_t{data[3]} << 16;
    std::array<std::byte, 8> bytes;
    std::memcpy(bytes.data(), data + 4, bytes.size());
    const std::span<std::byte> value = std::span(bytes).first(width);
    switch (data[0] >> 2 & 7) {
      case 0:
        space.read_memory(kEcamStart + offset, value);
        break;
      case 1:
        space.write_memory(kEcamStart + (1U << 15) + offset % 0x1000, value);
        break;
      case 2:
        space.read_memory(kPciWindowStart + offset, value);
        break;
      case 3:
        space.write_memory(kPciWindowStart + offset, value);
        break;
      case 4:
        space.read_port(static_cast<std::uint16_t>(offset), std::min<std::size_t>(width, 4), value);
        break;
      case 5:
        space.write_port(static_cast<std::uint16_t>(offset), std::min<std::size_t>(width, 4), value);
        break;
      case 6:
        device->interrupt(offset);
        break;
      default:
        device->reset();
        break;
    }
  }
  return 0;
}
