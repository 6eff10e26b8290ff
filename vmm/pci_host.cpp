#include "vmm/pci_host.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>

#include "vmm/memory_map.h"

namespace patchbay::vmm {
namespace {

using devices::pci::Function;

// An address within the ECAM window: bus 27:20, device 19:15, function 14:12, register 11:0.
constexpr std::uint32_t kRegisterMask = 0xFFF;

/// One megabyte of ones, shared by all machines: what absent functions read as.
int all_ones_fd() {
  static const devices::FileDescriptor fd = [] {
    devices::FileDescriptor created(::memfd_create("pci-absent", MFD_CLOEXEC));
    const std::vector<std::byte> ones(kEcamBytes, std::byte{0xFF});
    if (!created ||
        ::pwrite(created.get(), ones.data(), ones.size(), 0) != static_cast<ssize_t>(ones.size())) {
      throw std::system_error(errno, std::generic_category(), "cannot create the ECAM background (memfd)");
    }
    return created;
  }();
  return fd.get();
}

}  // namespace

/// Device 0: tells operating systems that there is a host bridge; has no registers of its own.
class PciHost::Bridge final : public Function {
 public:
  Bridge() : Function({.vendor = 0x1B36, .device = 0x0008, .class_code = 0x060000}) {}

 private:
  void on_bar_read(unsigned, std::uint64_t, std::span<std::byte>) noexcept override {}
  void on_bar_write(unsigned, std::uint64_t, std::span<const std::byte>) noexcept override {}
  void on_reset() noexcept override {}
};

class PciHost::Ecam final : public MmioDevice {
 public:
  explicit Ecam(const PciHost& host) : host_(host) {}
  void read(std::uint64_t offset, std::span<std::byte> data) noexcept override {
    host_.config_read(static_cast<std::uint32_t>(offset), data);
  }
  void write(std::uint64_t offset, std::span<const std::byte> data) noexcept override {
    host_.config_write(static_cast<std::uint32_t>(offset), data);
  }

 private:
  const PciHost& host_;
};

/// CF9 alone is the reset control register. CF8 holds an address (bit 31 enable, bus 23:16, device 15:11, function 10:8, register 7:2), CFC is the
/// window.
class PciHost::ConfigPorts final : public PortDevice {
 public:
  explicit ConfigPorts(const PciHost& host) : host_(host) {}

  void read(std::uint64_t offset, std::span<std::byte> data) noexcept override {
    std::fill(data.begin(), data.end(), std::byte{0xFF});
    if (offset == 0 && data.size() == sizeof(std::uint32_t)) {
      const std::uint32_t address = address_.load(std::memory_order_relaxed);
      std::memcpy(data.data(), &address, sizeof address);
    } else if (offset >= 4 && enabled()) {
      host_.config_read(target(offset), data);
    }
  }
  void write(std::uint64_t offset, std::span<const std::byte> data) noexcept override {
    if (offset == 0 && data.size() == sizeof(std::uint32_t)) {
      std::uint32_t address;
      std::memcpy(&address, data.data(), sizeof address);
      address_.store(address & 0x80FF'FFFC, std::memory_order_relaxed);
    } else if (offset == kResetControlPort - kPciConfigPort && data.size() == 1) {
      constexpr std::byte kResetCpu{0x04};
      if ((data[0] & kResetCpu) != std::byte{0} && reset_control_) reset_control_();
    } else if (offset >= 4 && enabled()) {
      host_.config_write(target(offset), data);
    }
  }
  void reset() noexcept { address_.store(0, std::memory_order_relaxed); }
  void on_reset_control(std::function<void()> reset) { reset_control_ = std::move(reset); }

 private:
  [[nodiscard]] bool enabled() const noexcept {
    return (address_.load(std::memory_order_relaxed) >> 31) != 0;
  }
  [[nodiscard]] std::uint32_t target(std::uint64_t offset) const noexcept {
    const std::uint32_t address = address_.load(std::memory_order_relaxed);
    const std::uint32_t bdf = (address >> 8) & 0xFFFF;
    return bdf << 12 | ((address & 0xFC) + (static_cast<std::uint32_t>(offset) - 4));
  }

  const PciHost& host_;
  std::atomic<std::uint32_t> address_{0};
  std::function<void()> reset_control_;
};

class PciHost::MemoryWindow final : public MmioDevice {
 public:
  explicit MemoryWindow(const PciHost& host) : host_(host) {}
  void read(std::uint64_t offset, std::span<std::byte> data) noexcept override {
    const bool found =
        host_.with_bar(false, kPciWindowStart + offset, data.size(),
                       [&](auto& function, auto bar, auto at) { function.bar_read(bar, at, data); });
    if (!found) std::fill(data.begin(), data.end(), std::byte{0xFF});
  }
  void write(std::uint64_t offset, std::span<const std::byte> data) noexcept override {
    host_.with_bar(false, kPciWindowStart + offset, data.size(),
                   [&](auto& function, auto bar, auto at) { function.bar_write(bar, at, data); });
  }

 private:
  const PciHost& host_;
};

class PciHost::PortWindow final : public PortDevice {
 public:
  explicit PortWindow(const PciHost& host) : host_(host) {}
  void read(std::uint64_t offset, std::span<std::byte> data) noexcept override {
    const bool found =
        host_.with_bar(true, kPciPortsStart + offset, data.size(),
                       [&](auto& function, auto bar, auto at) { function.bar_read(bar, at, data); });
    if (!found) std::fill(data.begin(), data.end(), std::byte{0xFF});
  }
  void write(std::uint64_t offset, std::span<const std::byte> data) noexcept override {
    host_.with_bar(true, kPciPortsStart + offset, data.size(),
                   [&](auto& function, auto bar, auto at) { function.bar_write(bar, at, data); });
  }

 private:
  const PciHost& host_;
};

PciHost::PciHost(std::vector<std::shared_ptr<Function>> functions)
    : functions_(std::move(functions)),
      bridge_(std::make_unique<Bridge>()),
      ecam_(std::make_unique<Ecam>(*this)),
      config_ports_(std::make_unique<ConfigPorts>(*this)),
      memory_window_(std::make_unique<MemoryWindow>(*this)),
      port_window_(std::make_unique<PortWindow>(*this)) {
  if (functions_.size() > kMaxFunctions) {
    throw std::runtime_error("a machine has room for " + std::to_string(kMaxFunctions) +
                             " PCI devices, not " + std::to_string(functions_.size()) +
                             "; give the node fewer interfaces");
  }
  map_view();
}

PciHost::~PciHost() = default;

void PciHost::map_view() {
  view_ = devices::MemoryMapping(all_ones_fd(), kEcamBytes, PROT_READ, "the ECAM window");
  const auto place = [&](std::size_t device, const Function& function) {
    std::byte* const page = view_.data() + (device << 15);
    if (::mmap(page, kPageBytes, PROT_READ, MAP_SHARED | MAP_FIXED, function.config_page_fd(), 0) ==
        MAP_FAILED) {
      throw std::system_error(errno, std::generic_category(), "cannot map a PCI configuration page");
    }
  };
  place(0, *bridge_);
  for (std::size_t i = 0; i < functions_.size(); ++i)
    place(i + 1, *functions_[i]);
}

void PciHost::add_to(AddressSpace& space) {
  space.add_memory(kEcamStart, kEcamBytes, *ecam_, "ECAM");
  space.add_memory(kPciWindowStart, kPciWindowBytes, *memory_window_, "PCI memory window");
  space.add_ports(kPciConfigPort, 8, *config_ports_, "PCI configuration ports");
  space.add_ports(kPciPortsStart, kPciPortsBytes, *port_window_, "PCI port window");
}

void PciHost::on_reset_control(std::function<void()> reset) {
  config_ports_->on_reset_control(std::move(reset));
}

void PciHost::attach(std::span<const devices::pci::Attachment> attachments) {
  for (std::size_t i = 0; i < functions_.size(); ++i)
    functions_[i]->attach(attachments[i]);
}

void PciHost::reset() noexcept {
  config_ports_->reset();
  for (const auto& function : functions_)
    function->reset();
}

void PciHost::assign_bars() {
  std::uint64_t next_memory = kPciWindowStart;
  std::uint64_t next_port = kPciPortsStart;
  for (const auto& function : functions_) {
    const auto write32 = [&](std::uint32_t offset, std::uint32_t value) {
      function->config_write(offset, std::as_bytes(std::span(&value, 1)));
    };
    for (unsigned bar = 0; bar < devices::pci::kBars; ++bar) {
      const std::uint64_t bytes = function->bar_size(bar);
      if (bytes == 0) continue;
      const bool io = function->bar_is_io(bar);
      std::uint64_t& next = io ? next_port : next_memory;
      const std::uint64_t end = io ? kPciPortsStart + kPciPortsBytes : kPciWindowStart + kPciWindowBytes;
      // BARs of different functions never share a page, whatever their size.
      const std::uint64_t alignment = io ? bytes : std::max(bytes, kPageBytes);
      const std::uint64_t start = (next + alignment - 1) & ~(alignment - 1);
      if (start >= end || alignment > end - start) {
        throw std::runtime_error(
            "the PCI devices of this machine need more address space than its BAR windows have");
      }
      next = start + alignment;
      write32(devices::pci::kBar0 + 4 * bar, static_cast<std::uint32_t>(start));
      if (function->bar_is_64bit(bar)) {
        write32(devices::pci::kBar0 + 4 * (bar + 1), static_cast<std::uint32_t>(start >> 32));
      }
    }
    const std::uint16_t decode = devices::pci::kCommandIoSpace | devices::pci::kCommandMemorySpace;
    function->config_write(devices::pci::kCommand, std::as_bytes(std::span(&decode, 1)));
  }
}

Function* PciHost::find(unsigned bus, unsigned device, unsigned function) const noexcept {
  if (bus != 0 || function != 0) return nullptr;
  if (device == 0) return bridge_.get();
  return device <= functions_.size() ? functions_[device - 1].get() : nullptr;
}

void PciHost::config_read(std::uint32_t bdf_and_register, std::span<std::byte> data) const noexcept {
  std::fill(data.begin(), data.end(), std::byte{0xFF});
  Function* function =
      find(bdf_and_register >> 20, bdf_and_register >> 15 & 0x1F, bdf_and_register >> 12 & 0x7);
  if (function != nullptr) function->config_read(bdf_and_register & kRegisterMask, data);
}

void PciHost::config_write(std::uint32_t bdf_and_register, std::span<const std::byte> data) const noexcept {
  Function* function =
      find(bdf_and_register >> 20, bdf_and_register >> 15 & 0x1F, bdf_and_register >> 12 & 0x7);
  if (function != nullptr) function->config_write(bdf_and_register & kRegisterMask, data);
}

template <typename Access>
bool PciHost::with_bar(bool io, std::uint64_t address, std::size_t bytes, Access access) const noexcept {
  for (const auto& function : functions_) {
    for (unsigned bar = 0; bar < devices::pci::kBars; ++bar) {
      const std::uint64_t size = function->bar_size(bar);
      if (size == 0 || function->bar_is_io(bar) != io) continue;
      const std::uint64_t start = function->bar_address(bar);
      if (start == 0 || address < start || address - start >= size || bytes > size - (address - start))
        continue;
      access(*function, bar, address - start);
      return true;
    }
  }
  return false;
}

}  // namespace patchbay::vmm
