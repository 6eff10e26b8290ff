#include "devices/pci/function.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>

#include "devices/pci/msix.h"

namespace patchbay::devices::pci {
namespace {

constexpr std::uint8_t kCapabilityMsix = 0x11;
constexpr std::uint32_t kBarIo = 0x1;  // PCI 3.0 6.2.5.1
constexpr std::uint32_t kBarMemory64 = 0x4;
constexpr std::uint64_t kPageBytes = 4096;
constexpr std::uint16_t kWritableCommand = kCommandIoSpace | kCommandMemorySpace | kCommandBusMaster |
                                           kCommandParityResponse | kCommandSerr | kCommandInterruptDisable;

std::uint32_t bar_register(unsigned bar) {
  return kBar0 + 4 * bar;
}

}  // namespace

Function::Function(const Identity& identity) {
  config_.set<std::uint16_t>(kVendorId, identity.vendor);
  config_.set<std::uint16_t>(kDeviceId, identity.device);
  config_.set<std::uint8_t>(kRevisionId, identity.revision);
  config_.set<std::uint8_t>(kClassCode, static_cast<std::uint8_t>(identity.class_code));
  config_.set<std::uint16_t>(kClassCode + 1, static_cast<std::uint16_t>(identity.class_code >> 8));
  config_.set<std::uint16_t>(kSubsystemVendorId, identity.subsystem_vendor);
  config_.set<std::uint16_t>(kSubsystemId, identity.subsystem);
  config_.set_writable<std::uint16_t>(kCommand, kWritableCommand);
  config_.set_writable<std::uint8_t>(kCacheLineSize, 0xFF);
  config_.set_writable<std::uint8_t>(kInterruptLine, 0xFF);
}

Function::~Function() = default;

// --- construction
// --------------------------------------------------------------------------------------------

void Function::claim_bar(unsigned bar) {
  if (bar >= kBars || bars_[bar].bytes != 0 || bars_[bar].upper_half) {
    throw std::logic_error("PCI BAR index out of range or declared twice");
  }
}

void Function::add_memory_bar(unsigned bar, std::uint64_t bytes, bool is_64bit) {
  claim_bar(bar);
  if (is_64bit) claim_bar(bar + 1);
  if (bytes < 16 || !std::has_single_bit(bytes) || (!is_64bit && bytes > (1ULL << 31))) {
    throw std::logic_error("the size of a memory BAR is a power of two, 16 bytes or more");
  }
  bars_[bar].bytes = bytes;
  bars_[bar].is_64bit = is_64bit;
  const std::uint64_t mask = ~(bytes - 1);
  config_.set_writable<std::uint32_t>(bar_register(bar), static_cast<std::uint32_t>(mask));
  if (is_64bit) {
    bars_[bar + 1].upper_half = true;
    config_.set<std::uint32_t>(bar_register(bar), kBarMemory64);
    config_.set_writable<std::uint32_t>(bar_register(bar + 1), static_cast<std::uint32_t>(mask >> 32));
  }
}

void Function::add_io_bar(unsigned bar, std::uint32_t bytes) {
  claim_bar(bar);
  if (bytes < 4 || bytes > 256 || !std::has_single_bit(bytes)) {
    throw std::logic_error("the size of an I/O BAR is a power of two from 4 to 256 bytes");
  }
  bars_[bar].bytes = bytes;
  bars_[bar].io = true;
  config_.set<std::uint32_t>(bar_register(bar), kBarIo);
  config_.set_writable<std::uint32_t>(bar_register(bar), ~(bytes - 1));
}

std::uint8_t Function::add_capability(std::uint8_t id, std::span<const std::byte> body,
                                      std::span<const std::byte> writable) {
  return config_.add_capability(id, body, writable);
}

void Function::add_msix(unsigned vectors, unsigned bar, std::uint32_t offset) {
  if (msix_ != nullptr) throw std::logic_error("a PCI function has one MSI-X table");
  auto table = std::make_unique<MsixTable>(vectors);
  const std::uint64_t pba = (offset + table->table_bytes() + kPageBytes - 1) & ~(kPageBytes - 1);
  if (bar >= kBars || bars_[bar].io || offset % 8 != 0 || pba + table->pba_bytes() > bars_[bar].bytes) {
    throw std::logic_error("the MSI-X table and pending bits do not fit in their BAR");
  }
  struct {
    std::uint16_t control;
    std::uint16_t table[2];
    std::uint16_t pba[2];
  } body{};
  static_assert(sizeof body == 10);  // PCI 3.0 figure 6-11 without the two-byte header
  const auto pba32 = static_cast<std::uint32_t>(pba) | bar;
  const std::uint32_t table32 = offset | bar;
  body.control = static_cast<std::uint16_t>(vectors - 1);
  std::memcpy(body.table, &table32, 4);
  std::memcpy(body.pba, &pba32, 4);
  const std::uint16_t writable = kMsixEnable | kMsixFunctionMask;
  msix_capability_ = add_capability(kCapabilityMsix, std::as_bytes(std::span(&body, 1)),
                                    std::as_bytes(std::span(&writable, 1)));
  msix_ = std::move(table);
  msix_bar_ = bar;
  msix_table_offset_ = offset;
  msix_pba_offset_ = pba;
}

void Function::attach(const Attachment& attachment) {
  attachment_ = attachment;
  if (msix_ != nullptr) msix_->attach(*attachment.msi);
  if (attachment.pin != nullptr) config_.set<std::uint8_t>(kInterruptPin, 1);  // INTA#
  config_.set_power_on_state();
}

// --- configuration space
// -------------------------------------------------------------------------------------

std::span<const std::byte, kConfigBytes> Function::config_page() const noexcept {
  return config_.page();
}
int Function::config_page_fd() const noexcept {
  return config_.fd();
}

void Function::config_read(std::uint32_t offset, std::span<std::byte> data) noexcept {
  const std::lock_guard access(access_mutex_);
  {
    const std::lock_guard lock(bytes_mutex_);
    config_.read(offset, data);
  }
  if (offset < kConfigBytes) on_config_read(offset, data.first(std::min(data.size(), kConfigBytes - offset)));
}

void Function::config_write(std::uint32_t offset, std::span<const std::byte> data) noexcept {
  if (offset >= kConfigBytes || data.empty()) return;
  const std::size_t length = std::min(data.size(), kConfigBytes - offset);
  const auto touches = [&](std::uint32_t first, std::uint32_t bytes) {
    return offset < first + bytes && first < offset + length;
  };
  const std::lock_guard access(access_mutex_);
  {
    const std::lock_guard lock(bytes_mutex_);
    config_.write(offset, data.first(length));
    command_.store(config_.get<std::uint16_t>(kCommand), std::memory_order_release);
  }
  if (touches(kCommand, 2) || touches(kBar0, 4 * kBars)) update_bars();
  if (msix_ != nullptr && touches(msix_capability_ + 2U, 2)) update_msix_control();
  if (touches(kCommand, 2) || (msix_ != nullptr && touches(msix_capability_ + 2U, 2))) update_pin();
  on_config_written(offset, length);
}

void Function::set_config(std::uint32_t offset, std::span<const std::byte> data) noexcept {
  const std::lock_guard lock(bytes_mutex_);
  config_.set_bytes(offset, data);
}

void Function::reset() noexcept {
  const std::lock_guard access(access_mutex_);
  {
    const std::lock_guard lock(bytes_mutex_);
    config_.restore_power_on_state();
    command_.store(config_.get<std::uint16_t>(kCommand), std::memory_order_release);
    intx_asserted_ = false;
  }
  update_bars();
  if (msix_ != nullptr) msix_->reset();
  update_pin();
  on_reset();
}

// --- BARs
// ----------------------------------------------------------------------------------------------------

std::uint64_t Function::bar_size(unsigned bar) const noexcept {
  return bar < kBars ? bars_[bar].bytes : 0;
}
bool Function::bar_is_io(unsigned bar) const noexcept {
  return bar < kBars && bars_[bar].io;
}
bool Function::bar_is_64bit(unsigned bar) const noexcept {
  return bar < kBars && bars_[bar].is_64bit;
}

std::uint64_t Function::bar_address(unsigned bar) const noexcept {
  return bar < kBars ? bars_[bar].address.load(std::memory_order_acquire) : 0;
}

std::uint64_t Function::decode_bar(unsigned bar) const noexcept {
  const Bar& b = bars_[bar];
  if (b.bytes == 0) return 0;
  const std::uint16_t command = config_.get<std::uint16_t>(kCommand);
  if ((command & (b.io ? kCommandIoSpace : kCommandMemorySpace)) == 0) return 0;
  std::uint64_t address = config_.get<std::uint32_t>(bar_register(bar));
  if (b.is_64bit) address |= std::uint64_t{config_.get<std::uint32_t>(bar_register(bar + 1))} << 32;
  address &= ~(b.bytes - 1);
  const std::uint64_t last = address + (b.bytes - 1);
  const std::uint64_t top = b.io ? 0xFFFF : b.is_64bit ? ~0ULL : 0xFFFF'FFFF;
  return last >= top ? 0 : address;
}

void Function::update_bars() noexcept {
  for (unsigned bar = 0; bar < kBars; ++bar) {
    std::uint64_t address;
    {
      const std::lock_guard lock(bytes_mutex_);
      address = decode_bar(bar);
    }
    if (bars_[bar].address.exchange(address, std::memory_order_acq_rel) != address)
      on_bar_moved(bar, address);
  }
}

Function::MsixArea Function::msix_area(unsigned bar, std::uint64_t offset) const noexcept {
  if (msix_ == nullptr || bar != msix_bar_) return MsixArea::none;
  if (offset - msix_table_offset_ < msix_->table_bytes()) return MsixArea::table;
  if (offset - msix_pba_offset_ < msix_->pba_bytes()) return MsixArea::pending_bits;
  return MsixArea::none;
}

void Function::bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> data) noexcept {
  if (data.size() > bar_size(bar) || offset > bar_size(bar) - data.size()) {
    std::fill(data.begin(), data.end(), std::byte{0xFF});
    return;
  }
  switch (msix_area(bar, offset)) {
    case MsixArea::table:
      return msix_->read_table(offset - msix_table_offset_, data);
    case MsixArea::pending_bits:
      return msix_->read_pba(offset - msix_pba_offset_, data);
    case MsixArea::none:
      return on_bar_read(bar, offset, data);
  }
}

void Function::bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data) noexcept {
  if (data.size() > bar_size(bar) || offset > bar_size(bar) - data.size()) return;
  switch (msix_area(bar, offset)) {
    case MsixArea::table:
      return msix_->write_table(offset - msix_table_offset_, data);
    case MsixArea::pending_bits:
      return;  // read-only (PCI 3.0 6.8.2.10)
    case MsixArea::none:
      return on_bar_write(bar, offset, data);
  }
}

// --- interrupts
// ----------------------------------------------------------------------------------------------

void Function::update_msix_control() noexcept {
  std::uint16_t control;
  {
    const std::lock_guard lock(bytes_mutex_);
    control = config_.get<std::uint16_t>(msix_capability_ + 2U);
  }
  msix_->set_control((control & kMsixEnable) != 0, (control & kMsixFunctionMask) != 0);
}

unsigned Function::msix_vectors() const noexcept {
  return msix_ == nullptr ? 0 : msix_->size();
}
bool Function::msix_enabled() const noexcept {
  return msix_ != nullptr && msix_->enabled();
}
bool Function::raise_msix(unsigned vector) noexcept {
  return msix_ != nullptr && msix_->raise(vector);
}

void Function::set_intx(bool asserted) noexcept {
  {
    const std::lock_guard lock(bytes_mutex_);
    if (intx_asserted_ == asserted) return;
    intx_asserted_ = asserted;
    const auto status = config_.get<std::uint16_t>(kStatus);
    config_.set<std::uint16_t>(kStatus, static_cast<std::uint16_t>(asserted ? status | kStatusInterrupt
                                                                            : status & ~kStatusInterrupt));
  }
  update_pin();
}

void Function::update_pin() noexcept {
  if (attachment_.pin == nullptr) return;
  // The level is decided and handed on under one lock, so that the last decision is the last one delivered.
  const std::lock_guard lock(bytes_mutex_);
  const bool disabled = (command_.load(std::memory_order_acquire) & kCommandInterruptDisable) != 0;
  attachment_.pin->set(intx_asserted_ && !disabled && !msix_enabled());
}

bool Function::bus_master() const noexcept {
  return (command_.load(std::memory_order_acquire) & kCommandBusMaster) != 0;
}

}  // namespace patchbay::devices::pci
