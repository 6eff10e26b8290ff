#include "devices/virtio/pci_transport.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace patchbay::devices::virtio {
namespace {

constexpr std::uint8_t kVendorCapability = 0x09;
constexpr std::uint16_t kVendor = 0x1AF4;
constexpr std::uint16_t kFirstDevice = 0x1040;  // 4.1.2.1: plus the virtio device id
constexpr std::uint16_t kSubsystem = 0x1100;    // 4.1.2.1: modern devices have 0x40 or higher
constexpr std::uint64_t kRegisterBytes = 0x4000;
constexpr std::uint64_t kAreaBytes = 0x1000;
constexpr std::uint64_t kMsixBytes = 0x2000;

/// cfg_type of struct virtio_pci_cap (4.1.4).
enum CapabilityType : std::uint8_t {
  kCommonType = 1,
  kNotifyType = 2,
  kIsrType = 3,
  kDeviceType = 4,
  kWindowType = 5
};

/// struct virtio_pci_cap without the two bytes every PCI capability begins with.
struct CapabilityBody {
  std::uint8_t length;
  std::uint8_t type;
  std::uint8_t bar;
  std::uint8_t id;
  std::uint8_t padding[2];
  std::uint8_t offset[4];
  std::uint8_t bytes[4];
  std::uint8_t extra[4];  // notify_off_multiplier or pci_cfg_data
};
static_assert(sizeof(CapabilityBody) == 18 && alignof(CapabilityBody) == 1);
constexpr std::size_t kShortBody = 14;

// Positions in the window capability, from its start.
constexpr std::uint32_t kWindowBar = 4;
constexpr std::uint32_t kWindowOffset = 8;
constexpr std::uint32_t kWindowLength = 12;
constexpr std::uint32_t kWindowData = 16;

constexpr std::uint8_t kIsrQueue = 1;  // 4.1.4.5
constexpr std::uint8_t kIsrConfig = 2;

pci::Identity identity(const Device& device, std::uint32_t class_code) {
  pci::Identity result;
  result.vendor = kVendor;
  result.device = static_cast<std::uint16_t>(kFirstDevice + device.type());
  result.subsystem_vendor = kVendor;
  result.subsystem = kSubsystem;
  result.revision = 1;  // 4.1.2.1: modern only
  result.class_code = class_code;
  return result;
}

template <std::size_t N>
void put32(std::uint8_t (&field)[N], std::uint32_t value) noexcept {
  static_assert(N == sizeof value);
  std::memcpy(field, &value, sizeof value);
}

std::uint32_t get32(std::span<const std::byte> bytes, std::size_t offset) noexcept {
  std::uint32_t value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

}  // namespace

PciTransport::PciTransport(Device& device, std::uint32_t class_code)
    : Function(identity(device, class_code)), device_(device), common_(device, device.queue_count() + 1) {
  add_memory_bar(kRegisterBar, kRegisterBytes, true);
  add_memory_bar(kMsixBar, kMsixBytes, false);
  add_structure(kCommonType, kCommonOffset, PciCommonConfig::kBytes);
  add_structure(kNotifyType, kNotifyOffset, kNotifyMultiplier * device.queue_count());
  add_structure(kIsrType, kIsrOffset, 1);
  add_structure(kDeviceType, kDeviceOffset, kAreaBytes);
  add_structure(kWindowType, 0, 0);
  add_msix(device.queue_count() + 1, kMsixBar, 0);
  device_.connect(*this);
}

PciTransport::~PciTransport() {
  move_doorbells(0);
  device_.disconnect();
}

void PciTransport::add_structure(std::uint8_t type, std::uint32_t offset, std::uint32_t length) {
  CapabilityBody body{};
  body.type = type;
  body.bar = kRegisterBar;
  put32(body.offset, offset);
  put32(body.bytes, length);
  std::size_t bytes = kShortBody;
  CapabilityBody writable{};
  if (type == kNotifyType) {
    put32(body.extra, kNotifyMultiplier);
    bytes = sizeof body;
  } else if (type == kWindowType) {
    writable.bar = 0xFF;
    put32(writable.offset, ~0U);
    put32(writable.bytes, ~0U);
    put32(writable.extra, ~0U);
    bytes = sizeof body;
  }
  body.length = static_cast<std::uint8_t>(bytes + 2);
  const std::uint8_t at = add_capability(kVendorCapability, std::as_bytes(std::span(&body, 1)).first(bytes),
                                         std::as_bytes(std::span(&writable, 1)).first(bytes));
  if (type == kWindowType) window_capability_ = at;
}

// --- registers
// -----------------------------------------------------------------------------------------------

void PciTransport::on_bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> data) noexcept {
  std::fill(data.begin(), data.end(), std::byte{0});
  if (bar != kRegisterBar || data.empty()) return;
  if (offset < kIsrOffset) {
    const std::lock_guard lock(registers_mutex_);
    common_.read(offset, data);
  } else if (offset == kIsrOffset) {
    data[0] = static_cast<std::byte>(take_isr());
  } else if (offset >= kDeviceOffset && offset < kNotifyOffset) {
    device_.read_config(offset - kDeviceOffset, data);
  }
}

void PciTransport::on_bar_write(unsigned bar, std::uint64_t offset,
                                std::span<const std::byte> data) noexcept {
  if (bar != kRegisterBar) return;
  if (offset < kIsrOffset) {
    bool reset = false;
    {
      const std::lock_guard lock(registers_mutex_);
      reset = common_.write(offset, data);
    }
    if (reset) (void)take_isr();
  } else if (offset >= kNotifyOffset) {
    // The address tells the queue; the data repeats it (4.1.5.2).
    device_.notify(static_cast<unsigned>((offset - kNotifyOffset) / kNotifyMultiplier));
  }
}

void PciTransport::on_reset() noexcept {
  device_.reset();
  {
    const std::lock_guard lock(registers_mutex_);
    common_.reset();
  }
  (void)take_isr();
}

// --- the configuration access window (4.1.4.9)
// -----------------------------------------------------------------

PciTransport::Window PciTransport::window() const noexcept {
  const auto page = config_page();
  const Window window{get32(page, window_capability_ + kWindowOffset),
                      get32(page, window_capability_ + kWindowLength), false};
  const bool valid = static_cast<unsigned>(page[window_capability_ + kWindowBar]) == kRegisterBar &&
                     (window.length == 1 || window.length == 2 || window.length == 4) &&
                     window.offset % window.length == 0 && window.offset < kRegisterBytes;
  return {window.offset, window.length, valid};
}

void PciTransport::on_config_read(std::uint32_t offset, std::span<std::byte> data) noexcept {
  const std::uint32_t first = window_capability_ + kWindowData;
  if (offset + data.size() <= first || offset >= first + 4) return;
  const Window access = window();
  if (!access.valid) return;
  std::array<std::byte, 4> value{};
  on_bar_read(kRegisterBar, access.offset, std::span(value).first(access.length));
  for (std::size_t i = 0; i < data.size(); ++i) {
    if (offset + i >= first && offset + i < first + value.size()) data[i] = value[offset + i - first];
  }
}

void PciTransport::on_config_written(std::uint32_t offset, std::size_t length) noexcept {
  const std::uint32_t first = window_capability_ + kWindowData;
  if (offset + length <= first || offset >= first + 4) return;
  const Window access = window();
  if (!access.valid) return;
  std::array<std::byte, 4> value;
  std::memcpy(value.data(), config_page().data() + first, value.size());
  on_bar_write(kRegisterBar, access.offset, std::span<const std::byte>(value).first(access.length));
}

// --- doorbells
// -----------------------------------------------------------------------------------------------

void PciTransport::on_bar_moved(unsigned bar, std::uint64_t address) noexcept {
  if (bar == kRegisterBar) move_doorbells(address);
}

void PciTransport::move_doorbells(std::uint64_t bar_address) noexcept {
  for (unsigned queue = 0; queue < device_.queue_count(); ++queue) {
    const int fd = device_.doorbell(queue);
    const std::uint64_t at = kNotifyOffset + std::uint64_t{kNotifyMultiplier} * queue;
    if (fd < 0) continue;
    if (doorbells_at_ != 0) doorbells().detach(doorbells_at_ + at, fd);
    // Where the machine cannot attach, writes arrive at on_bar_write.
    if (bar_address != 0) doorbells().attach(bar_address + at, fd);
  }
  doorbells_at_ = bar_address;
}

// --- interrupts
// ----------------------------------------------------------------------------------------------

void PciTransport::raise_queue_interrupt(unsigned queue) noexcept {
  raise(common_.queue_vector(queue), kIsrQueue);
}

void PciTransport::raise_config_interrupt() noexcept {
  raise(common_.config_vector(), kIsrConfig);
}

void PciTransport::raise(std::uint16_t vector, std::uint8_t isr_bit) noexcept {
  if (raise_msix(vector) || msix_enabled()) return;  // no vector, no interrupt: 4.1.5.1.2
  const std::lock_guard lock(isr_mutex_);
  isr_ |= isr_bit;
  set_intx(true);
}

std::uint8_t PciTransport::take_isr() noexcept {
  const std::lock_guard lock(isr_mutex_);
  const std::uint8_t value = isr_;
  isr_ = 0;
  set_intx(false);
  return value;
}

}  // namespace patchbay::devices::virtio
